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

/**
 * The WebSocket transport, served by the HTTP server that also serves the page, so that both have one port and one
 * certificate. Only requests for `/` become WebSockets; the server's other upgrades are left alone.
 */
export function attachedWebSockets(server: Server): { transport: TransportFactory; detach(): void } {
  const handlers: UpgradeHandler[] = []
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (new URL(request.url ?? '/', 'http://relay').pathname !== '/') return
    const handler = handlers[0]
    if (handler === undefined) socket.destroy()
    else handler(request, socket, head)
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

/** @throws TypeError when the library's listener is not as it was: to be found by the first test that runs. */
function upgradeHandler(listener: Listener): UpgradeHandler {
  if ('onUpgrade' in listener && typeof listener.onUpgrade === 'function')
    return listener.onUpgrade.bind(listener) as UpgradeHandler
  throw new TypeError('The WebSocket listener takes no upgrades')
}
