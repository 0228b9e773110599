/** Answers signed requests of other servers, whatever carrier brought them. */
import { encodeBase64Url, type ServerName } from '@plexus/core'
import { hashOfRequestBytes, MAX_CLOCK_SKEW_MS, parseRequestTarget } from '@plexus/core/names'
import { RoomError, UserError } from '@plexus/engine'
import type { CarrierResponse, InboundHandler, InboundRequest, Log } from '@plexus/engine/ports'
import { ApiError, errorResponse, responseOf, statusOf, type Answer } from './answer.ts'
import { authenticate, type Proven } from './authenticate.ts'
import { ENDPOINTS } from './endpoints/index.ts'
import { createRepeats } from './repeats.ts'
import { createReplayGuard, type ReplayGuard } from './replay.ts'
import type { OpenRequest, ProvenRequest } from './request.ts'
import { createRouter } from './router.ts'
import type { Services } from './services.ts'

/** Of what stands for a request that no envelope numbers. */
const REQUEST_ID_BYTES = 16

export type ServerApiDeps = Services & {
  readonly log: Log
  /** Told of each server that proved a request its own. */
  readonly heard: (server: ServerName) => void
}

/** The answer never rejects: what fails here is an answer with status 500, and logged. */
export function createServerApi(deps: ServerApiDeps): InboundHandler {
  const router = createRouter(ENDPOINTS)
  const replays = createReplayGuard()
  const repeats = createRepeats()

  const answerTo = async (inbound: InboundRequest, isProven: () => void): Promise<Answer> => {
    const target = parseRequestTarget(inbound.request)
    if (target === undefined) throw new ApiError(400, 'M_BAD_JSON', 'not a request')
    const { endpoint, path, query } = router.route(target.method, target.uri)
    const open = { path, query, content: target.content }
    if (endpoint.open === true) return endpoint.handle(deps, open)
    const proven = await authenticate(deps, inbound)
    deps.heard(proven.request.origin)
    isProven()
    if (endpoint.repeatable !== true) refuseRepeated(replays, proven, deps.clock.now())
    const answer = (): Promise<Answer> => endpoint.handle(deps, { ...open, ...provenPart(deps, proven) })
    if (endpoint.isTransaction !== true || proven.envelope !== undefined) return answer()
    // The hash is of origin, transaction id and content.
    return repeats.once(proven.request.origin, hashOfRequestBytes(proven.message), answer)
  }

  return async (inbound) => {
    let proof: Pick<CarrierResponse, 'isProven'> = {}
    const response = await answerTo(inbound, () => (proof = { isProven: true })).then(responseOf, (error) =>
      refusal(deps.log, error),
    )
    return { ...response, ...proof }
  }
}

function refuseRepeated(replays: ReplayGuard, { request, envelope }: Proven, now: number): void {
  // The specification knows no such guard: what tells requests apart is in the envelope.
  if (envelope === undefined) return
  const { incarnation, expires } = envelope
  const verdict = replays.accept(request.origin, incarnation, expires, now - MAX_CLOCK_SKEW_MS)
  if (verdict === 'repeated')
    throw new ApiError(401, 'M_UNAUTHORIZED', 'the request has been processed before')
  if (verdict === 'full')
    throw new ApiError(429, 'M_LIMIT_EXCEEDED', 'too many servers, or stores of one, are asking')
}

function provenPart(
  { random }: Services,
  { request: { origin }, envelope }: Proven,
): Omit<ProvenRequest, keyof OpenRequest> {
  if (envelope === undefined) return { origin, requestId: encodeBase64Url(random.bytes(REQUEST_ID_BYTES)) }
  const { incarnation, sequence, expires, requestHash } = envelope
  const proven = { origin, incarnation, requestId: `${requestHash}.${incarnation}.${expires}` }
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
