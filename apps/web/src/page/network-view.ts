/** How the state of the network looks to the user. Pure, so that it can be tested. */
import type { ServerName } from '@plexus/core'
import type { NetworkStatus as P2pStatus } from '@plexus/p2p'
import type { NetworkStatus, PeerView } from '../ui/model.ts'

const STATUS: Readonly<Record<P2pStatus['state'], NetworkStatus>> = {
  online: 'online',
  relayed: 'relayed',
  noRelay: 'no-relay',
  connecting: 'connecting',
  offline: 'offline',
}

export function networkStatus(status: P2pStatus): NetworkStatus {
  return STATUS[status.state]
}

/** Peers first those of rooms, by name; then relays. `wanted` that are not connected are shown as not reachable. */
export function peerViews(
  status: P2pStatus,
  wanted: readonly ServerName[],
  namesAt: (server: ServerName) => readonly string[],
): readonly PeerView[] {
  const connected = new Map(status.peers.map((peer) => [peer.name, peer]))
  const nodes = [...new Set([...wanted, ...connected.keys()])].map((name): PeerView => {
    const peer = connected.get(name)
    return {
      id: name,
      names: namesAt(name),
      kind: 'node',
      state: peer === undefined ? 'offline' : peer.path,
      rtt: peer?.rttMs,
      since: peer?.since,
      address: undefined,
    }
  })
  const relays = status.relays.map(({ address, state }): PeerView => {
    return {
      id: address.slice(address.lastIndexOf('/') + 1),
      names: [],
      kind: 'relay',
      state: state === 'connected' ? 'direct' : state === 'connecting' ? 'connecting' : 'offline',
      rtt: undefined,
      since: undefined,
      address,
    }
  })
  return [...nodes.toSorted(byName), ...relays]
}

function byName(a: PeerView, b: PeerView): number {
  const left = a.names[0] ?? a.id
  const right = b.names[0] ?? b.id
  return left.localeCompare(right)
}
