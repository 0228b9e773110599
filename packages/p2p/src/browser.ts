import { webRTC, webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import type { Platform } from './platform.ts'

export { createP2pNode } from './create-p2p-node.ts'

/** Connections that a page keeps at most. */
const MAX_CONNECTIONS = 300
/** Peers that a page keeps connected: each costs a WebRTC connection, of which Chromium bears some hundreds. */
const MAX_KEPT_PEERS = 64

export type BrowserPlatformInit = {
  /** STUN and TURN servers, as the relay's operator gives them; none by default, never third parties. */
  readonly iceServers?: readonly RTCIceServer[]
}

/** The platform of a browser page (a window: workers have no WebRTC). */
export function browserPlatform({ iceServers = [] }: BrowserPlatformInit = {}): Platform {
  const rtcConfiguration: RTCConfiguration = { iceServers: [...iceServers] }
  return {
    transports: [webSockets(), webRTC({ rtcConfiguration }), webRTCDirect({ rtcConfiguration })],
    dialTransports: [webSockets(), webRTCDirect({ rtcConfiguration })],
    listen: ['/webrtc'],
    announce: [],
    webrtc: true,
    maxConnections: MAX_CONNECTIONS,
    maxKeptPeers: MAX_KEPT_PEERS,
    online: () => navigator.onLine,
    onWake(wake) {
      const onVisible = (): void => {
        if (document.visibilityState === 'visible') wake()
      }
      window.addEventListener('online', wake)
      window.addEventListener('offline', wake)
      window.addEventListener('pageshow', wake)
      document.addEventListener('resume', wake)
      document.addEventListener('visibilitychange', onVisible)
      return () => {
        window.removeEventListener('online', wake)
        window.removeEventListener('offline', wake)
        window.removeEventListener('pageshow', wake)
        document.removeEventListener('resume', wake)
        document.removeEventListener('visibilitychange', onVisible)
      }
    },
  }
}
