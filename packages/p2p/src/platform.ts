import type { Libp2pOptions } from 'libp2p'

/** The libp2p parts that differ between a browser page and Node, and what else the platform can tell. */
export interface Platform {
  /** Transports beside the circuit relay's. */
  readonly transports: NonNullable<Libp2pOptions['transports']>
  /** Those that reach a relay by themselves: for nodes that dial once and are thrown away. */
  readonly dialTransports: NonNullable<Libp2pOptions['transports']>
  /** Multiaddrs to listen on; empty in a page. */
  readonly listen: readonly string[]
  /** Addresses of this node for links and peers, as its operator gave them. */
  readonly announce: readonly string[]
  /** What finds nodes on the local network, used in LAN mode only. */
  readonly discovery?: NonNullable<Libp2pOptions['peerDiscovery']>
  /** Connections between nodes that cannot be dialled are arranged through a relay. */
  readonly webrtc: boolean
  readonly maxConnections: number
  /** Peers that are kept connected; others are reached when there is something to send. */
  readonly maxKeptPeers: number
  /** False when the platform is certain that there is no network. */
  online(): boolean
  /** Calls `wake` when the network or the page comes back, until the answer is called. */
  onWake(wake: () => void): () => void
}
