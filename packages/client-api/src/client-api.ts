/**
 * The Client-Server API as one function from request to response.
 *
 * Invariants: the function never rejects; every answer carries the CORS headers; every error is a JSON object with
 * `errcode` and `error`, and says nothing about the inside of the node.
 */
import type { AppService } from '@plexus/engine'
import type { Log } from '@plexus/engine/ports'
import { actingAs, requesterBy, serviceOf, tokenOf } from './access-token.ts'
import { jsonResponse } from './endpoint.ts'
import type { Answer, Endpoint } from './endpoint.ts'
import { appServiceEndpoints } from './endpoints/app-services.ts'
import { roomEndpoints } from './endpoints/rooms.ts'
import { userEndpoints } from './endpoints/users.ts'
import { errorBody, toMatrixError } from './error-response.ts'
import { accountLocked, accountSuspended, MatrixError, invalidParam, unrecognized } from './matrix-error.ts'
import { DEFAULT_RATE_LIMITS, createRateLimiter } from './rate-limit.ts'
import type { RateLimiter, RateLimits } from './rate-limit.ts'
import { createRouter } from './router.ts'
import type { Route, Router } from './router.ts'
import type { ApiEngine, Requester } from './services.ts'

export type ClientApiInit = {
  readonly rateLimits?: RateLimits
  /** Whom a request without user counts against, such as the address of its connection. */
  readonly clientOf?: (request: Request) => string
  /** The endpoints to serve; all by default. */
  readonly endpoints?: readonly Endpoint[]
}

export type ClientApi = (request: Request) => Promise<Response>

/** spec: client-server-api "Web Browser Clients" */
const CORS: readonly (readonly [string, string])[] = [
  ['Access-Control-Allow-Origin', '*'],
  ['Access-Control-Allow-Methods', 'GET, POST, PUT, DELETE, OPTIONS'],
  ['Access-Control-Allow-Headers', 'X-Requested-With, Content-Type, Authorization'],
]

export function createClientApi(engine: ApiEngine, init: ClientApiInit = {}): ClientApi {
  const router = createRouter(init.endpoints ?? [...roomEndpoints, ...userEndpoints, ...appServiceEndpoints])
  const limiter = createRateLimiter(engine.clock, init.rateLimits ?? DEFAULT_RATE_LIMITS)
  const clientOf = init.clientOf ?? (() => 'anonymous')
  return async (request) => {
    if (request.method === 'OPTIONS') return withCors(new Response(null, { status: 204 }))
    let template = 'none'
    try {
      const url = new URL(request.url)
      const { endpoint, parameters } = foundBy(router, request.method, url)
      template = endpoint.templates[0] ?? template
      const token = tokenOf(request, url)
      const service = serviceOf(engine, token)
      const address = init.clientOf?.(request)
      const requester = await requesterOf(engine, endpoint, { token, service, url, address })
      if (isLimited(service, requester)) limit(limiter, endpoint, requester?.userId ?? clientOf(request))
      if (requester !== undefined) await checkRestrictions(engine, endpoint, requester)
      return toResponse(
        await endpoint.run({ engine, requester, service, token, address, parameters, url, request }),
      )
    } catch (error) {
      return refusal(engine.log, template, error)
    }
  }
}

function foundBy(router: Router, method: string, url: URL): Extract<Route, { kind: 'found' }> {
  const route = router.route(method, url.pathname)
  if (route.kind === 'found') return route
  if (route.kind === 'badEncoding') throw invalidParam('the path is not percent-encoded UTF-8')
  if (route.kind === 'wrongMethod') throw unrecognized(405, `this endpoint knows ${route.allowed.join(', ')}`)
  throw unrecognized(404, 'there is no such endpoint')
}

async function requesterOf(
  engine: ApiEngine,
  endpoint: Endpoint,
  {
    token,
    service,
    url,
    address,
  }: { token: string | undefined; service: AppService | undefined; url: URL; address: string | undefined },
): Promise<Requester | undefined> {
  if (endpoint.auth === 'none' || (endpoint.auth === 'optional' && token === undefined)) return undefined
  return service === undefined
    ? requesterBy(engine, token, address)
    : actingAs(engine, service, url.searchParams)
}

/** spec: client-server-api "Account locking", "Account suspension" */
async function checkRestrictions(
  engine: ApiEngine,
  endpoint: Endpoint,
  { userId }: Requester,
): Promise<void> {
  const { locked, suspended } = await engine.users.moderation.restrictionsOf(userId)
  if (locked === true && !endpoint.whileLocked) throw accountLocked()
  if (suspended === true && !endpoint.whileSuspended) throw accountSuspended()
}

/** The sender of a service is never limited, the users that it acts as unless the registration says so. */
function isLimited(service: AppService | undefined, requester: Requester | undefined): boolean {
  if (service === undefined) return true
  return service.registration.rateLimited && requester !== undefined && requester.userId !== service.sender
}

function limit(limiter: RateLimiter, endpoint: Endpoint, who: string): void {
  const retryAfter = limiter.take(endpoint.rateLimit, who)
  if (retryAfter === 0) return
  throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'too many requests', { retry_after_ms: retryAfter })
}

function toResponse(answer: Answer): Response {
  return withCors(answer instanceof Response ? answer : jsonResponse(200, answer))
}

function refusal(log: Log, template: string, error: unknown): Response {
  const known = toMatrixError(error)
  if (known === undefined) logFault(log, template, error)
  const shown = known ?? new MatrixError(500, 'M_UNKNOWN', 'something went wrong inside this node')
  const retryAfter = shown.fields['retry_after_ms']
  const headers =
    typeof retryAfter === 'number' ? { 'Retry-After': String(Math.ceil(retryAfter / 1000)) } : {}
  return withCors(jsonResponse(shown.status, errorBody(shown), headers))
}

function logFault(log: Log, template: string, error: unknown): void {
  const fault = error instanceof Error ? error : new Error('not an error')
  log.log('error', 'a client request failed', { endpoint: template, name: fault.name, fault: fault.message })
}

/** Every response here was made by this API, so that its headers are its own: a copy would cost a stream. */
function withCors(response: Response): Response {
  for (const [name, value] of CORS) response.headers.set(name, value)
  return response
}
