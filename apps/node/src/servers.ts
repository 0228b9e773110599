/** The HTTP servers of a node: clients at one address, its operator at another. */
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import type { ClientApi } from '@plexus/client-api'
import type { Reports } from '@plexus/engine'
import { createServer, listen } from '@plexus/daemon'
import type { Address } from './config.ts'
import type { Metrics } from './metrics.ts'

export type Listening = AsyncDisposable & { readonly port: number }

/** Time in which a request must have arrived whole: the largest upload over a slow line. */
const REQUEST_TIMEOUT_MS = 600_000

const textResponse = (status: number, text: string, type = 'text/plain; charset=utf-8'): Response =>
  new Response(text, { status, headers: { 'Content-Type': type } })

export type ClientServerInit = {
  readonly address: Address
  readonly trustProxy: boolean
  /** Where other servers find this one, if this server tells. */
  readonly wellKnownServer: string | undefined
  readonly clientApi: ClientApi
  /** Remembers the address of the client for `ClientApiInit.clientOf`. */
  readonly seen: (request: Request, address: string) => void
  readonly metrics: Metrics
}

export async function listenToClients(init: ClientServerInit): Promise<Listening> {
  const { clientApi, metrics, seen, trustProxy, wellKnownServer } = init
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
    { errorHandler: () => textResponse(400, 'bad request\n') },
  )
  return start(listener, init.address, '--client-api')
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

export type AdminServerInit = {
  readonly address: Address
  readonly metrics: Metrics
  readonly reports: Pick<Reports, 'list'>
  /** Why the node cannot serve, `undefined` when it can. */
  readonly problem: () => string | undefined
}

export async function listenToOperator({
  address,
  metrics,
  reports,
  problem,
}: AdminServerInit): Promise<Listening> {
  const listener = getRequestListener(
    async (request) => {
      const { pathname } = new URL(request.url)
      if (request.method !== 'GET') return textResponse(405, 'only GET\n')
      if (pathname === '/health') return textResponse(200, 'ok\n')
      if (pathname === '/ready') {
        const why = problem()
        return why === undefined ? textResponse(200, 'ok\n') : textResponse(503, `${why}\n`)
      }
      if (pathname === '/metrics') return textResponse(200, await metrics.text(), metrics.contentType)
      if (pathname === '/reports')
        return textResponse(200, JSON.stringify(await reports.list(), undefined, 2), 'application/json')
      return textResponse(404, '/health, /ready, /metrics or /reports\n')
    },
    { errorHandler: () => textResponse(500, 'failed\n') },
  )
  return start(listener, address, '--admin')
}

async function start(
  listener: ReturnType<typeof getRequestListener>,
  { host, port }: Address,
  flag: string,
): Promise<Listening> {
  const web = createServer((incoming, outgoing) => void listener(incoming, outgoing), {
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  const at = await listen(web.server, { host, port, flags: { host: flag, port: flag } })
  return { port: at, [Symbol.asyncDispose]: () => web[Symbol.asyncDispose]() }
}
