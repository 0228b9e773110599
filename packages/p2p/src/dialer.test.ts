import { parseServerName, type ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createDialer, MAX_DIALLED_ADDRESSES, MAX_PARALLEL_ATTEMPTS } from './dialer.ts'
import { createGater } from './gater.ts'
import type { LinkTable } from './link-table.ts'
import type { KnownPeer, PeerBook } from './peer-book.ts'
import type { P2pLibp2p } from './start-libp2p.ts'
import { silentLog } from './testing/accounts.ts'
import { createTestPublisher } from './testing/records.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'

const RELAY = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
const ADDRESS = `/ip4/127.0.0.1/tcp/8008/ws/p2p/${RELAY}`
const OWN = '12D3KooWJsPyoEHJYkUDaFRYBBRHcLbmvFo9mtfQYHBNXjgvUPeC'
const PEER = '12D3KooWLUZUuPYNTYZ3xqCiYzMwqfMG4mRmpNhGwVjVxBCfJoBk'
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function nameOf(text: string): ServerName {
  const name = parseServerName(text)
  if (name === undefined) throw new Error(text)
  return name
}
const name = nameOf('peer.example')

/** A dialer for which nobody is reachable; what it dials is recorded. */
function start(
  known: Partial<KnownPeer> = {},
  found: readonly string[] = [],
  discovered: readonly (readonly string[])[] = [],
) {
  const dialled: string[][] = []
  const failures: (() => void)[] = []
  const libp2p = {
    dial(addresses: readonly { toString(): string }[]) {
      dialled.push(addresses.map(String))
      return new Promise((_resolve, reject) => failures.push(() => reject(new Error('nobody'))))
    },
  } as unknown as P2pLibp2p
  const book = {
    get: () => ({ name, peerIds: [], multiaddrs: [], hints: [], lastSeen: 0, ...known }),
  } as unknown as PeerBook
  const table = { best: () => undefined, bestOf: () => undefined } as unknown as LinkTable
  const dialer = createDialer({
    clock: createVirtualClock(),
    log: silentLog,
    libp2p,
    gater: createGater({ relays: [ADDRESS], lan: false }),
    table,
    book,
    ownPeerId: OWN,
    webrtc: true,
    find: () => Promise.resolve(found),
    async *discover() {
      yield* discovered
    },
  })
  const fail = async (): Promise<void> => {
    for (const run of failures.splice(0)) run()
    await settle()
  }
  return { dialer, dialled, fail }
}

describe('the dialer', () => {
  it('says when there is nothing to dial', async () => {
    expect(await start().dialer.connect(name)).toBe('unknown')
  })

  it('dials where the relay says that the peer is, then what it remembers', async () => {
    const remembered = `/ip4/8.8.8.8/tcp/1/p2p/${PEER}`
    const at = `${ADDRESS}/p2p-circuit/p2p/${PEER}`
    const { dialer, dialled, fail } = start({ multiaddrs: [remembered] }, [at])
    const result = dialer.connect(name)
    await settle()
    expect(dialled).toEqual([[at]])
    await fail()
    expect(dialled).toEqual([[at], [remembered]])
    await fail()
    expect(await result).toBe('failed')
  })

  it('leaves out private addresses, itself, and what only its own relays could tell', async () => {
    const hints = [
      `/ip4/127.0.0.1/tcp/1/p2p/${PEER}`,
      `/ip4/8.8.8.8/tcp/1/p2p/${OWN}`,
      `${ADDRESS}/p2p-circuit/p2p/${PEER}`,
    ]
    const { dialer, dialled } = start({ hints })
    expect(await dialer.connect(name)).toBe('unknown')
    expect(dialled).toEqual([])
  })

  it('dials what records say, each address once, until somebody is there', async () => {
    const [a, b, c] = [1, 2, 3].map((port) => `/ip4/8.8.8.8/tcp/${port}/p2p/${PEER}`) as [
      string,
      string,
      string,
    ]
    const { dialer, dialled, fail } = start(
      { hints: [a] },
      [],
      [
        [a, b, `/ip4/10.0.0.1/tcp/1/p2p/${PEER}`],
        [b, c],
      ],
    )
    const result = dialer.connect(name)
    await settle()
    for (let step = 0; step < 3; step += 1) await fail()
    expect([await result, dialled]).toEqual(['failed', [[a], [b], [c]]])
  })

  it('dials nobody who speaks for a name that was given up', async () => {
    const owner = createTestPublisher(0)
    const at = `${ADDRESS}/p2p-circuit/p2p/${PEER}`
    const record = owner.record(1, { tombstone: 'dead' })
    const { dialer, dialled } = start({ hints: [`/ip4/8.8.8.8/tcp/1/p2p/${PEER}`], record }, [at])
    expect([await dialer.connect(name), dialled]).toEqual(['unknown', []])
  })

  it('calls at its own relays for nobody who is not there, whatever records say', async () => {
    const { dialer, dialled } = start({}, [], [[`${ADDRESS}/p2p-circuit/p2p/${PEER}`]])
    expect(await dialer.connect(name)).toBe('failed')
    expect(dialled).toEqual([])
  })

  it('shares one attempt among all who ask for a name', async () => {
    const { dialer, dialled, fail } = start({ hints: [`/ip4/8.8.8.8/tcp/1/p2p/${PEER}`] })
    const results = [dialer.connect(name), dialer.connect(name), dialer.connect(name)]
    await settle()
    expect(dialled).toHaveLength(1)
    await fail()
    expect(await Promise.all(results)).toEqual(['failed', 'failed', 'failed'])
  })

  it('dials so many addresses of a peer', async () => {
    const multiaddrs = Array.from({ length: 40 }, (_, port) => `/ip4/8.8.8.8/tcp/${port + 1}/p2p/${PEER}`)
    const { dialer, dialled } = start({ multiaddrs })
    void dialer.connect(name)
    await settle()
    expect(dialled[0]).toHaveLength(MAX_DIALLED_ADDRESSES)
  })

  it('makes so many attempts at once, the others in turn', async () => {
    const { dialer, dialled, fail } = start({ hints: [`/ip4/8.8.8.8/tcp/1/p2p/${PEER}`] })
    const results = Array.from({ length: MAX_PARALLEL_ATTEMPTS + 5 }, (_, n) =>
      dialer.connect(nameOf(`n${n}.example`)),
    )
    await settle()
    expect(dialled).toHaveLength(MAX_PARALLEL_ATTEMPTS)
    await fail()
    expect(dialled).toHaveLength(MAX_PARALLEL_ATTEMPTS + 5)
    await fail()
    expect(new Set(await Promise.all(results))).toEqual(new Set(['failed']))
  })
})
