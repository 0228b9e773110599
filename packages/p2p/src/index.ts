export {
  createP2pNode,
  type P2pEvent,
  type P2pNode,
  type P2pNodeDeps,
  type P2pNodeInit,
} from './create-p2p-node.ts'
export type { PeerInfo } from './link-table.ts'
export type { KnownPeer, PeerMemory } from './peer-book.ts'
export type { Platform } from './platform.ts'
export type { RelayState, RelayStatus } from './relay-keeper.ts'
export type { NetworkState, NetworkStatus } from './supervisor.ts'
export { generateTransportKey, peerIdOfKey } from './transport-key.ts'
