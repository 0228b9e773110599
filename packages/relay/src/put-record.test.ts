import type { PeerId } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { accountKey } from '@plexus/core/names'
import { describe, expect, it } from 'vitest'
import { ENOUGH_NETWORKS, MAX_NAMED_PUTS, MAX_PARALLEL_SPREADS, MAX_SPREAD_PUTS } from './limits.ts'
import { networkOfAddress, putRecord } from './put-record.ts'
import { createRecipient } from './testing/recipients.ts'

const NOW = Date.UTC(2026, 0, 1)
const owner = createRecipient(NOW)
const published = { key: accountKey(owner.name), signed: owner.record() }

/** Servers by how they are called, with their addresses; those called `away` do not answer. */
type World = {
  readonly named?: readonly string[]
  readonly nearest?: readonly string[]
  readonly others?: readonly (readonly [name: string, address: string])[]
}

/** Whom the record was put to, beside the nearest, and how many took it. */
async function put({ named = [], nearest = [], others = [] }: World) {
  const idOf = (text: string): PeerId => ({ toString: () => text }) as PeerId
  const asked: string[] = []
  const response = (from: string): object => ({
    name: 'PEER_RESPONSE',
    messageName: 'PUT_VALUE',
    from: idOf(from),
  })
  const dht = {
    network: {
      async *sendRequest(to: PeerId, { type }: { type: string }) {
        asked.push(`${type} ${to.toString()}`)
        yield to.toString().startsWith('away') ? { name: 'QUERY_ERROR' } : response(to.toString())
      },
    },
    routingTable: {
      size: others.length,
      closestPeers: (place: Uint8Array, { count }: { count: number }) =>
        place.length === 32 ? others.slice(0, count).map(([name]) => idOf(name)) : [],
    },
    async *put() {
      for (const name of nearest) yield response(name)
    },
  } as unknown as KadDHT
  const addresses = new Map(others)
  const addressOf = (peer: PeerId): string | undefined => addresses.get(peer.toString())
  let taken = 0
  const init = { published, named: named.map(idOf), addressOf }
  for await (const _ of putRecord(dht, init, AbortSignal.timeout(1_000))) taken += 1
  return { asked, taken }
}

describe('a record', () => {
  it('is put to the relays that the operator named, whoever is nearest to its key, and each is counted once', async () => {
    const { asked, taken } = await put({ named: ['one', 'away', 'both'], nearest: ['nearest', 'both'] })
    expect(asked).toEqual(['PUT_VALUE one', 'PUT_VALUE away', 'PUT_VALUE both'])
    expect(taken).toBe(3)
    const many = Array.from({ length: MAX_NAMED_PUTS + 1 }, (_, n) => `${n}`)
    expect((await put({ named: many })).asked).toHaveLength(MAX_NAMED_PUTS)
  })

  it('is put to others by chance, until they are of enough networks', async () => {
    const honest = Array.from({ length: 40 }, (_, n) => [`honest ${n}`, `/ip4/198.51.${n}.1/tcp/1`] as const)
    const { asked, taken } = await put({ nearest: ['nearest', 'honest 0'], others: honest })
    expect(asked.length).toBeGreaterThanOrEqual(ENOUGH_NETWORKS)
    expect(asked.length).toBeLessThan(ENOUGH_NETWORKS + MAX_PARALLEL_SPREADS)
    expect(taken).toBe(asked.length + 1)
  })

  it('is put past servers of one network, and past those that are away, to a bound', async () => {
    const sybils = Array.from({ length: 45 }, (_, n) => [`sybil ${n}`, `/ip4/192.0.2.${n}/tcp/1`] as const)
    const away = Array.from({ length: 5 }, (_, n) => [`away ${n}`, `/ip4/203.0.${n}.1/tcp/1`] as const)
    const honest = Array.from({ length: 9 }, (_, n) => [`honest ${n}`, `/ip4/198.51.${n}.1/tcp/1`] as const)
    const others = [...sybils, ...away, ...honest]
    const { asked } = await put({ others })
    expect(asked.filter((each) => each.startsWith('PUT_VALUE honest'))).toHaveLength(9)
    const more = Array.from({ length: 99 }, (_, n) => [`more ${n}`, '/ip4/192.0.2.1/tcp/1'] as const)
    expect((await put({ others: [...more, ...others] })).asked).toHaveLength(MAX_SPREAD_PUTS)
  })
})

it.each([
  ['/ip4/192.0.2.7/tcp/1', '192.0.2'],
  ['/ip6/2001:db8:1:2::7/tcp/1', '2001:db8:1'],
  ['/ip6/::ffff:192.0.2.7/tcp/1', '192.0.2'],
  ['/dns4/a.b.example.org/tcp/443/wss', 'example.org'],
])('%s is of the network %s', (address, network) => {
  expect(networkOfAddress(address)).toBe(network)
})
