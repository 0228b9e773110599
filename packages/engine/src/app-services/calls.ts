/** Requests to the services. spec: application-service-api.md "Homeserver -> Application Service API" */
import type { JsonObject } from '@plexus/core'
import type { Clock, ServiceHttp, ServiceResponse } from '../ports.ts'
import type { AppService, Pinging } from './types.ts'

export const PING_TIMEOUT_MS = 10_000

/** UTF-8 bytes of an answer of which nothing but the status is needed, and a person may look at the rest. */
const MAX_SMALL_ANSWER = 65_536

export type ServiceRequest = {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** What follows `/_matrix/app/v1/`, percent-encoded. */
  readonly path: string
  readonly body?: JsonObject
  readonly timeoutMs: number
  readonly maxBytes?: number
}

export type CallService = (service: AppService, request: ServiceRequest) => Promise<ServiceResponse>

/** The call must not be made for a service without a URL. @throws CarrierError when no answer came. */
export function createCallService(http: ServiceHttp): CallService {
  return ({ registration }, { method, path, body, timeoutMs, maxBytes = MAX_SMALL_ANSWER }) =>
    http.send({
      method,
      url: `${registration.url ?? ''}/_matrix/app/v1/${path}`,
      token: registration.hsToken,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      timeoutMs,
      maxBytes,
    })
}

export function createPinging(deps: {
  readonly call: CallService
  readonly clock: Clock
  /** Told of a service that answered. */
  readonly appeared: (service: AppService) => void
}): Pinging {
  const { call, clock, appeared } = deps
  return {
    async ping(service, transactionId) {
      if (service.registration.url === null) return { kind: 'noUrl' }
      const begun = clock.now()
      const { status, body } = await call(service, {
        method: 'POST',
        path: 'ping',
        body: transactionId === undefined ? {} : { transaction_id: transactionId },
        timeoutMs: PING_TIMEOUT_MS,
      })
      if (status !== 200) return { kind: 'refused', status, body }
      appeared(service)
      return { kind: 'answered', durationMs: Math.max(0, clock.now() - begun) }
    },
  }
}
