/** The HTTP server of a node that clients talk to. */
import type { RequestListener } from 'node:http'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import type { ClientApi } from '@plexus/client-api'
import { createServer, listen, type Address, type Listening } from '@plexus/daemon'
import type { Metrics } from './metrics.ts'

/** Time in which a request must have arrived whole: the largest upload over a slow line. */
const REQUEST_TIMEOUT_MS = 600_000

/** spec: server-server-api.md: paths that servers ask for, which a proxy in front may not tell from those of clients. */
const OF_SERVERS = /^\/_matrix\/(?:federation|key)\//

export type ClientServerInit = {
  readonly address: Address
  readonly trustProxy: boolean
  /** Where other servers find this one, if this server tells. */
  readonly wellKnownServer: string | undefined
  readonly clientApi: ClientApi
  /** Answers other servers, where this node does. */
  readonly federation: RequestListener | undefined
  /** Remembers the address of the client for `ClientApiInit.clientOf`. */
  readonly seen: (request: Request, address: string) => void
  readonly metrics: Metrics
}

export async function listenToClients(init: ClientServerInit): Promise<Listening> {
  const { clientApi, federation, metrics, seen, trustProxy, wellKnownServer } = init
  const listener = getRequestListener(
    async (request, { incoming }) => {
      const begun = performance.now()
      if (wellKnownServer !== undefined && isWellKnownServer(request))
        return Response.json({ 'm.server': wellKnownServer })
      const forwarded = trustProxy ? request.headers.get('x-forwarded-for') : undefined
      const { socket } = incoming as HttpBindings['incoming']
      seen(request, clientAddress(socket.remoteAddress, forwarded))
      const response = await clientApi(request)
      metrics.answered(request, response.status, (performance.now() - begun) / 1_000)
      return response
    },
    // Only what cannot be made a request comes here, such as a bad Host: the API itself never throws.
    { errorHandler: () => new Response('bad request\n', { status: 400 }) },
  )
  const answer: RequestListener = (incoming, outgoing) => {
    const isOfServer = federation !== undefined && OF_SERVERS.test(incoming.url ?? '')
    return isOfServer ? federation(incoming, outgoing) : void listener(incoming, outgoing)
  }
  return start(answer, init.address, '--client-api')
}

/** spec: server-server-api.md "Resolving server names" step 3 */
function isWellKnownServer({ method, url }: Request): boolean {
  return method === 'GET' && new URL(url).pathname === '/.well-known/matrix/server'
}

/**
 * Of what proxies wrote down (X-Forwarded-For, where they are trusted) the last entry is the one in front's own; those before it are
 * the client's to choose.
 */
export function clientAddress(
  connected: string | undefined,
  forwarded: string | readonly string[] | null | undefined,
): string {
  const last = [forwarded ?? []].flat().at(-1)?.split(',').at(-1)?.trim()
  return last || (connected ?? '')
}

async function start(listener: RequestListener, { host, port }: Address, flag: string): Promise<Listening> {
  const web = createServer(listener, { requestTimeoutMs: REQUEST_TIMEOUT_MS })
  const at = await listen(web.server, { host, port, flags: { host: flag, port: flag } })
  return { port: at, [Symbol.asyncDispose]: () => web[Symbol.asyncDispose]() }
}
