/**
 * How the DHT's client reaches servers that it only heard of. The library tells where they are with an event, which nobody hears
 * of a client that was started by itself.
 */
import type { PeerId, PeerInfo } from '@libp2p/interface'
import type { KadDHTComponents } from '@libp2p/kad-dht'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '@plexus/engine/ports'
import { isDirectAddress, peerIdOf, withPeer } from './addresses.ts'
import { boundedMap } from './bounded-map.ts'

/** Peers whose addresses are remembered, as servers tell them, and addresses of each. */
export const MAX_HEARD_PEERS = 1_000
export const MAX_HEARD_ADDRESSES = 8
/** Peers of one answer: a sound one has no more, and the library tells of all of an answer at once. */
export const MAX_HEARD_AT_ONCE = 32
/** Servers that are dialed before searches pause: one looks at some hundred. */
export const MAX_OPENED = 1_000
/** Milliseconds after the last search for which its connections stay: often another one follows. */
export const IDLE_MS = 30_000

type ConnectionManager = KadDHTComponents['connectionManager']
type Connections = Pick<ConnectionManager, 'getConnections' | 'openConnection' | 'openStream'>

export interface KadReach {
  /** As that of the node, but it dials where peers were said to be, and only while something is looked for. */
  readonly openStream: ConnectionManager['openStream']
  /** A server says where a peer is. */
  hear(peer: PeerInfo): void
  /** A search begins; the answer ends it. */
  begin(): () => void
  close(): void
}

export function createKadReach(
  connections: Connections,
  { clock, allows }: { clock: Pick<Clock, 'after'>; allows: (address: Multiaddr, peer: PeerId) => boolean },
): KadReach {
  const heard = boundedMap<readonly Multiaddr[]>(MAX_HEARD_PEERS)
  const opened = new Map<string, PeerId>()
  let heardAtOnce = 0
  let searches = 0
  let cancelIdle = (): void => undefined

  /** What others use by now stays as long as they do. */
  function closeIdle(): void {
    for (const [id, peer] of opened) {
      const all = connections.getConnections(peer)
      if (all.length === 0) opened.delete(id)
      for (const connection of all.filter(({ streams }) => streams.length === 0))
        connection.close().catch((error: unknown) => connection.abort(error as Error))
    }
    if (opened.size > 0) cancelIdle = clock.after(IDLE_MS, closeIdle)
  }

  async function reach(peer: PeerId, options: Parameters<ConnectionManager['openConnection']>[1]) {
    if (connections.getConnections(peer).length > 0) return
    if (searches === 0) throw new Error('nothing is looked for')
    // Until all searches are over and what is left of them is closed.
    if (opened.size >= MAX_OPENED && !opened.has(peer.toString()))
      throw new Error('too many servers were dialed for the searches')
    opened.set(peer.toString(), peer)
    const addresses = heard.get(peer.toString())
    if (addresses !== undefined) await connections.openConnection([...addresses], options)
  }

  return {
    async openStream(target, protocol, options) {
      if ('toMultihash' in target) await reach(target, options)
      return connections.openStream(target, protocol, options)
    },
    hear({ id, multiaddrs }) {
      if (heardAtOnce === 0) queueMicrotask(() => (heardAtOnce = 0))
      heardAtOnce += 1
      if (heardAtOnce > MAX_HEARD_AT_ONCE) return
      const addresses = multiaddrs
        .slice(0, MAX_HEARD_ADDRESSES)
        .map((address) => withPeer(address.toString(), id.toString()))
        .filter((address) => peerIdOf(address) === id.toString() && isDirectAddress(address))
        .map((address) => multiaddr(address))
        .filter((address) => allows(address, id))
      if (addresses.length > 0) heard.set(id.toString(), addresses)
    },
    begin() {
      cancelIdle()
      searches += 1
      return () => {
        searches -= 1
        if (searches === 0) cancelIdle = clock.after(IDLE_MS, closeIdle)
      }
    },
    close: () => cancelIdle(),
  }
}
