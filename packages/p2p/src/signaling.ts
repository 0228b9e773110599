import type { Connection, PeerId, Stream } from '@libp2p/interface'
import type { P2pLibp2p } from './start-libp2p.ts'

/** Of libp2p's WebRTC transport, which answers it for anybody. */
const SIGNALING_PROTOCOL = '/webrtc-signaling/0.0.1'

type Registrar = Pick<
  P2pLibp2p['services']['parts']['components']['registrar'],
  'getProtocols' | 'getHandler' | 'handle'
>

/**
 * Lets friends alone arrange a WebRTC connection through a relay: its candidates tell where this node is. `isFriend` may wait
 * until it is known who is at the other side.
 */
export async function guardSignaling(
  registrar: Registrar,
  isFriend: (peer: PeerId) => Promise<boolean>,
): Promise<void> {
  if (!registrar.getProtocols().includes(SIGNALING_PROTOCOL)) return
  const { handler, options } = registrar.getHandler(SIGNALING_PROTOCOL)
  const guarded = async (stream: Stream, connection: Connection): Promise<void> => {
    if (await isFriend(connection.remotePeer)) await handler(stream, connection)
    else stream.abort(new Error('only friends are connected directly'))
  }
  await registrar.handle(SIGNALING_PROTOCOL, guarded, { ...options, force: true })
}
