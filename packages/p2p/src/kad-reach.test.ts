import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import {
  createKadReach,
  IDLE_MS,
  MAX_HEARD_ADDRESSES,
  MAX_HEARD_AT_ONCE,
  MAX_HEARD_PEERS,
  MAX_OPENED,
} from './kad-reach.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'

const peerOf = (n: number): PeerId =>
  peerIdFromPublicKey(publicKeyFromRaw(Uint8Array.from({ length: 32 }, (_, at) => (n >> (8 * at)) & 0xff)))
const FORBIDDEN = '/ip4/10.0.0.1/tcp/1'

/** A reach of a node without connections, and where it dialled. */
function start() {
  const clock = createVirtualClock()
  const dialled: string[][] = []
  const connections = {
    getConnections: () => [],
    async openConnection(addresses: Multiaddr[]) {
      dialled.push(addresses.map((address) => address.toString()))
    },
    openStream: () => Promise.resolve('a stream'),
  } as unknown as Parameters<typeof createKadReach>[0]
  const allows = (address: Multiaddr): boolean => !address.toString().startsWith(FORBIDDEN)
  return { reach: createKadReach(connections, { clock, allows }), dialled, clock }
}

describe('the reach of the DHT', () => {
  it('dials where a peer was said to be, while something is looked for', async () => {
    const { reach, dialled } = start()
    const peer = peerOf(1)
    reach.hear({ id: peer, multiaddrs: [multiaddr('/ip4/192.0.2.1/tcp/1')] })
    await expect(reach.openStream(peer, '/x')).rejects.toThrow('nothing is looked for')
    const end = reach.begin()
    expect(await reach.openStream(peer, '/x')).toBe('a stream')
    expect(dialled).toEqual([[`/ip4/192.0.2.1/tcp/1/p2p/${peer.toString()}`]])
    end()
    await expect(reach.openStream(peer, '/x')).rejects.toThrow('nothing is looked for')
  })

  it('dials no forbidden address, none through others, none of another peer, and few in all', async () => {
    const { reach, dialled } = start()
    const [peer, other] = [peerOf(1), peerOf(2)]
    reach.begin()
    const bad = [FORBIDDEN, `/ip4/192.0.2.1/tcp/1/p2p/${other.toString()}`]
    const circuit = `/ip4/192.0.2.1/tcp/1/p2p/${other.toString()}/p2p-circuit`
    reach.hear({ id: peer, multiaddrs: [...bad, circuit].map((text) => multiaddr(text)) })
    await reach.openStream(peer, '/x')
    expect(dialled).toEqual([])
    const many = Array.from({ length: 20 }, (_, n) => multiaddr(`/ip4/192.0.2.1/tcp/${n + 1}`))
    reach.hear({ id: peer, multiaddrs: many })
    await reach.openStream(peer, '/x')
    expect(dialled.map(({ length }) => length)).toEqual([MAX_HEARD_ADDRESSES])
  })

  it('dials so many for searches that never pause', async () => {
    const { reach, clock } = start()
    const end = reach.begin()
    for (let n = 0; n < MAX_OPENED; n += 1) await reach.openStream(peerOf(n), '/x')
    await expect(reach.openStream(peerOf(MAX_OPENED), '/x')).rejects.toThrow('too many')
    expect(await reach.openStream(peerOf(0), '/x')).toBe('a stream')
    end()
    clock.advance(IDLE_MS)
    reach.begin()
    expect(await reach.openStream(peerOf(MAX_OPENED), '/x')).toBe('a stream')
  })

  it('remembers so many peers, and takes so many of one answer', async () => {
    const { reach, dialled } = start()
    const peers = Array.from({ length: MAX_HEARD_PEERS + 1 }, (_, n) => peerOf(n))
    const isKnown = async (peer: PeerId | undefined): Promise<boolean> => {
      const before = dialled.length
      if (peer !== undefined) await reach.openStream(peer, '/x')
      return dialled.length > before
    }
    reach.begin()
    const multiaddrs = [multiaddr('/ip4/192.0.2.1/tcp/1')]
    for (const id of peers.slice(0, MAX_HEARD_AT_ONCE + 1)) reach.hear({ id, multiaddrs })
    await Promise.resolve()
    expect(await isKnown(peers[MAX_HEARD_AT_ONCE - 1])).toBe(true)
    expect(await isKnown(peers[MAX_HEARD_AT_ONCE])).toBe(false)
    for (const id of peers) {
      reach.hear({ id, multiaddrs })
      await Promise.resolve()
    }
    expect([await isKnown(peers[0]), await isKnown(peers[1])]).toEqual([false, true])
  })
})
