import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Listener } from '@libp2p/interface'
import { webSockets } from '@libp2p/websockets'
import type { Libp2pOptions } from 'libp2p'

type TransportFactory = NonNullable<Libp2pOptions['transports']>[number]

/** What the library's listener does with a request to become a WebSocket. */
type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Address for the library's own listener, which must listen somewhere: it sees no one. */
export const ATTACHED_LISTEN = '/ip4/127.0.0.1/tcp/0/ws'
/** What it is once the library listens there. */
export const ATTACHED_ADDRESS: RegExp = /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/ws$/

/** The address of whoever asks, where that is not the address of the connection. */
export type ClientOf = (request: IncomingMessage) => string | undefined

/**
 * The WebSocket transport, served by the HTTP server that also serves the page, so that both have one port and one
 * certificate. Only requests for `/` become WebSockets; others are left to the server's other listeners, if any.
 */
export function attachedWebSockets(
  server: Server,
  clientOf: ClientOf = () => undefined,
): { transport: TransportFactory; detach(): void } {
  const handlers: UpgradeHandler[] = []
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const handler = handlers[0]
    if (handler !== undefined && isRoot(request))
      handler(requestFrom(request, clientOf(request)), socket, head)
    else if (handler === undefined || server.listenerCount('upgrade') === 1) socket.destroy()
  }
  server.on('upgrade', onUpgrade)
  return {
    transport(components) {
      const transport = webSockets()(components)
      const createListener = transport.createListener.bind(transport)
      transport.createListener = (options) => {
        const listener = createListener(options)
        handlers.push(upgradeHandler(listener))
        return listener
      }
      return transport
    },
    detach() {
      server.off('upgrade', onUpgrade)
    },
  }
}

/** The listener takes the address that a connection comes from out of the request. */
function requestFrom(request: IncomingMessage, address: string | undefined): IncomingMessage {
  if (address === undefined) return request
  const socket = { value: { remoteAddress: address, remotePort: 0 } }
  return Object.create(request, { socket }) as IncomingMessage
}

function isRoot({ url = '/' }: IncomingMessage): boolean {
  return url === '/' || url.startsWith('/?')
}

/** @throws TypeError when the library's listener is not as it was: to be found by the first test that runs. */
function upgradeHandler(listener: Listener): UpgradeHandler {
  if ('onUpgrade' in listener && typeof listener.onUpgrade === 'function')
    return listener.onUpgrade.bind(listener) as UpgradeHandler
  throw new TypeError('The WebSocket listener takes no upgrades')
}
