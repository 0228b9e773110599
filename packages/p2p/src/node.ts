import { tcp } from '@libp2p/tcp'
import { webRTC, webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import type { Platform } from './platform.ts'

export { createP2pNode } from './create-p2p-node.ts'

/** Connections that a Node process keeps at most. */
const MAX_CONNECTIONS = 1_000
/** Peers that a Node process keeps connected. */
const MAX_KEPT_PEERS = 256

export type NodePlatformInit = {
  /** Multiaddrs to listen on: tcp, ws, webrtc-direct; none by default. */
  readonly listen?: readonly string[]
  /** Public addresses of this node, peer id included, for links and peers. */
  readonly announce?: readonly string[]
  /** WebRTC arranged through relays, so that tabs reach this node without a relay in between; on by default. */
  readonly webrtc?: boolean
  readonly iceServers?: readonly RTCIceServer[]
  /** mDNS, where the app brings it; none by default. */
  readonly discovery?: Platform['discovery']
}

export function nodePlatform(init: NodePlatformInit = {}): Platform {
  const { listen = [], announce = [], webrtc = true, iceServers = [], discovery } = init
  const rtcConfiguration: RTCConfiguration = { iceServers: [...iceServers] }
  const always = [tcp(), webSockets(), webRTCDirect({ rtcConfiguration })]
  return {
    transports: webrtc ? [...always, webRTC({ rtcConfiguration })] : always,
    dialTransports: always,
    listen: webrtc ? [...listen, '/webrtc'] : listen,
    announce,
    ...(discovery && { discovery }),
    webrtc,
    maxConnections: MAX_CONNECTIONS,
    maxKeptPeers: MAX_KEPT_PEERS,
    online: () => true,
    onWake: () => () => undefined,
  }
}
