import { createHash } from 'node:crypto'
import { identify } from '@libp2p/identify'
import { kadDHT, type KadDHT, type KadDHTComponents } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { Libp2pRecord } from '@libp2p/record'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p, type Libp2pOptions } from 'libp2p'
import { afterEach, describe, expect, it } from 'vitest'
import { createGater } from './gater.ts'
import { IDLE_MS } from './kad-reach.ts'
import { startKad, type Kad } from './kad.ts'
import { nodePlatform } from './node.ts'
import { createReservations } from './reservations.ts'
import { startLibp2p } from './start-libp2p.ts'
import { createTestPublisher } from './testing/records.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'
import { generateTransportKey } from './transport-key.ts'
import {
  DHT_NAMESPACE,
  DHT_PROTOCOL,
  encodeDhtKey,
  encodePublished,
  type Published,
} from './wire/published.ts'

const NOW = Date.now()
/** Against hanging: a search ends by itself, also where a server says nothing. */
const LIMIT_MS = 30_000
const clock = createVirtualClock(NOW)
const owner = createTestPublisher(NOW)
const of = (sequence: number): Published => ({ key: owner.key, signed: owner.record(sequence) })
/** The record that a server gives for the key; `undefined` for none. */
type Answer = (dhtKey: Uint8Array) => Libp2pRecord | undefined | Promise<never>
type Server = Libp2p<{ dht: KadDHT }>
type Components = Parameters<NonNullable<Libp2pOptions['transports']>[number]>[0]

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

/** A server of the DHT that answers as it likes. */
async function startServer(answer: Answer): Promise<Server> {
  const datastore = {
    async get() {
      const record = await answer(encodeDhtKey(owner.key))
      if (record === undefined) throw Object.assign(new Error('none'), { name: 'NotFoundError' })
      return record.serialize().subarray()
    },
    delete: () => Promise.resolve(),
    async *query() {
      // No provider records.
    },
  }
  const dht = kadDHT({
    protocol: DHT_PROTOCOL,
    clientMode: false,
    allowQueryWithZeroPeers: true,
    validators: { [DHT_NAMESPACE]: () => Promise.resolve() },
    selectors: { [DHT_NAMESPACE]: () => 0 },
    peerInfoMapper: (peer) => peer,
  })
  const server = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      ping: ping(),
      dht: (components: Components) =>
        dht(Object.create(components, { datastore: { value: datastore } }) as KadDHTComponents),
    },
  })
  cleanups.push(async () => server.stop())
  return server
}

/** A client that is connected to these servers. */
async function startClient(servers: readonly Libp2p[]): Promise<{ client: Libp2p; kad: Kad }> {
  const client = await startLibp2p(
    nodePlatform({ webrtc: false }),
    createGater({ relays: [], lan: true }),
    createReservations(() => false),
    { transportKey: await generateTransportKey(), relayCount: 0, lan: true },
  )
  cleanups.push(async () => client.stop())
  for (const server of servers) await client.dial(server.getMultiaddrs())
  const kad = await startKad(client.services.parts.components, {
    clock,
    allows: () => true,
    servers: () => client.getPeers(),
  })
  cleanups.push(async () => kad[Symbol.asyncDispose]())
  return { client, kad }
}

/** What a search finds in so many milliseconds at most. */
async function search({ kad }: { kad: Kad }, ms: number): Promise<readonly number[]> {
  const found: number[] = []
  try {
    for await (const { published } of kad.get(owner.key, AbortSignal.timeout(ms)))
      found.push(published.signed.record.sequence)
  } catch {
    // The time is over.
  }
  return found.toSorted((a, b) => a - b)
}

/** What a client finds that knows servers which answer so. */
const find = async (answers: readonly Answer[], ms: number): Promise<readonly number[]> =>
  search(await startClient(await Promise.all(answers.map(startServer))), ms)

/** How far a server stands from the key of the record. */
function distance({ peerId }: Server): Buffer {
  const [id, key] = [peerId.toMultihash().bytes, encodeDhtKey(owner.key)].map((bytes) =>
    createHash('sha256').update(bytes).digest(),
  )
  return Buffer.from((id ?? []).map((byte, n) => byte ^ (key?.[n] ?? 0)))
}

const record = (dhtKey: Uint8Array, value: Uint8Array): Libp2pRecord =>
  new Libp2pRecord(dhtKey, value, new Date())
const honest: Answer = (key) => record(key, encodePublished(of(9)))

/** What hostile servers answer with, none of which counts. */
const wrong: Readonly<Record<string, Answer>> = {
  forged: (key) => {
    const signed = { ...owner.record(10), signature: 'A'.repeat(86) }
    return record(key, encodePublished({ key: owner.key, signed }))
  },
  ofAnother: (key) => {
    const signed = createTestPublisher(NOW).record(10)
    return record(key, encodePublished({ key: owner.key, signed }))
  },
  over: (key) => record(key, encodePublished({ key: owner.key, signed: owner.record(10, { expires: NOW }) })),
  noRecord: (key) => record(key, new Uint8Array(100).fill(7)),
  tooLong: (key) => record(key, new Uint8Array(2_000_000).fill(32)),
  underAnotherKey: () => record(encodeDhtKey(createTestPublisher(NOW).key), encodePublished(of(10))),
  silent: () => new Promise<never>(() => undefined),
}

/** Two servers that know each other; the far one has the record, and stands so to its key. */
async function startPair(where: 'nearer' | 'farther'): Promise<{ near: Server; far: Server }> {
  let holder: Server | undefined
  const answerOf = (server: () => Server | undefined): Answer => {
    return (key) => (server() === holder ? honest(key) : undefined)
  }
  const servers: Server[] = await Promise.all([0, 1].map((n) => startServer(answerOf(() => servers[n]))))
  // The library asks none that is farther from the key than who told of it.
  const [one = expect.fail(), other = expect.fail()] = servers.toSorted((a, b) =>
    Buffer.compare(distance(a), distance(b)),
  )
  const [far, near] = where === 'nearer' ? [one, other] : [other, one]
  holder = far
  const { routingTable } = near.services.dht as unknown as { routingTable: EventTarget }
  const known = new Promise((resolve) => routingTable.addEventListener('peer:add', resolve))
  await far.dial(near.getMultiaddrs())
  await known
  return { near, far }
}

describe('a search in the DHT', { timeout: 4 * LIMIT_MS }, () => {
  it('yields nothing that hostile servers make up, and what an honest one among them has', async () => {
    expect(await find([...Object.values(wrong), honest], LIMIT_MS)).toEqual([9])
  })

  it('yields what each server tells that has a sound record, old ones too', async () => {
    const old: Answer = (key) => record(key, encodePublished(of(3)))
    expect(await find([old, honest, old, () => undefined], LIMIT_MS)).toEqual([3, 3, 9])
  })

  it('goes on to servers that it hears of, and leaves them a while after it', async () => {
    const { near, far } = await startPair('nearer')
    const { client, kad } = await startClient([near])
    expect(await search({ kad }, LIMIT_MS)).toEqual([9])
    expect(await search({ kad }, LIMIT_MS)).toEqual([9])
    expect(client.getConnections(far.peerId)).toHaveLength(1)
    const later = (): number => {
      clock.advance(IDLE_MS)
      return client.getConnections(far.peerId).length
    }
    await expect.poll(later).toBe(0)
    expect(client.getConnections(near.peerId)).toHaveLength(1)
    expect(await search({ kad }, LIMIT_MS)).toEqual([9])
  })

  it('asks elsewhere servers that are far from the key', async () => {
    const { near } = await startPair('farther')
    const { kad } = await startClient([near])
    expect(await search({ kad }, LIMIT_MS)).toEqual([])
    const found: Published[] = []
    await kad.askElsewhere(owner.key, (published) => found.push(published), AbortSignal.timeout(LIMIT_MS))
    expect(found).toEqual([of(9)])
  })
})
