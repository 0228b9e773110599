/** Answers signed requests of other servers, whatever carrier brought them. */
import { MAX_CLOCK_SKEW_MS } from '@plexus/core/names'
import { RoomError, UserError } from '@plexus/engine'
import type { CarrierResponse, InboundHandler, Log } from '@plexus/engine/ports'
import { ApiError, errorResponse, responseOf, statusOf } from './answer.ts'
import { authenticate, type Proven } from './authenticate.ts'
import { ENDPOINTS } from './endpoints/index.ts'
import { createReplayGuard, type ReplayGuard } from './replay.ts'
import type { ProvenRequest } from './request.ts'
import { createRouter, type Route } from './router.ts'
import type { Services } from './services.ts'

export type ServerApiDeps = Services & { readonly log: Log }

/** The answer never rejects: what fails here is an answer with status 500, and logged. */
export function createServerApi(deps: ServerApiDeps): InboundHandler {
  const router = createRouter(ENDPOINTS)
  const replays = createReplayGuard()
  return async (enveloped) => {
    try {
      const proven = await authenticate(deps, enveloped)
      const { request } = proven
      const route = router.route(request.method, request.uri)
      if (route.endpoint.repeatable !== true) refuseRepeated(replays, proven, deps.clock.now())
      return responseOf(await route.endpoint.handle(deps, provenRequest(proven, route)))
    } catch (error) {
      return refusal(deps.log, error)
    }
  }
}

function refuseRepeated(replays: ReplayGuard, { request, envelope }: Proven, now: number): void {
  const { incarnation, expires } = envelope
  const verdict = replays.accept(request.origin, incarnation, expires, now - MAX_CLOCK_SKEW_MS)
  if (verdict === 'repeated')
    throw new ApiError(401, 'M_UNAUTHORIZED', 'the request has been processed before')
  if (verdict === 'full')
    throw new ApiError(429, 'M_LIMIT_EXCEEDED', 'too many servers, or stores of one, are asking')
}

function provenRequest({ request, envelope }: Proven, route: Route<Services>): ProvenRequest {
  const { incarnation, sequence, expires, requestHash } = envelope
  const proven = {
    origin: request.origin,
    path: route.path,
    query: route.query,
    content: request.content,
    incarnation,
    requestId: `${requestHash}.${incarnation}.${expires}`,
  }
  return sequence === undefined ? proven : { ...proven, sequence }
}

function refusal(log: Log, error: unknown): CarrierResponse {
  if (error instanceof ApiError) return errorResponse(error)
  if (error instanceof RoomError || error instanceof UserError) {
    return errorResponse(new ApiError(statusOf(error.errcode), error.errcode, error.message))
  }
  log.log('error', 'a request of another server failed', { error: String(error) })
  return errorResponse(new ApiError(500, 'M_UNKNOWN', 'the request failed here'))
}
