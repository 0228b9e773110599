/** What the users endpoints share. */
import { isJsonObject } from '@plexus/core'
import type { JsonObject, JsonValue, UserId } from '@plexus/core'
import type { AppService } from '@plexus/engine'
import * as v from 'valibot'
import { jsonResponse } from '../../endpoint.ts'
import { forbidden, missingParam } from '../../matrix-error.ts'
import { jsonObject } from '../../schemas.ts'
import { NO_DEVICE, type ApiEngine, type Requester } from '../../services.ts'

/** Longest wait for other servers that a client can ask for, in milliseconds. */
const MAX_REMOTE_TIMEOUT_MS = 30_000
const DEFAULT_REMOTE_TIMEOUT_MS = 10_000

/** The `auth` key of endpoints with user-interactive authentication. */
export const auth: v.GenericSchema<unknown, JsonObject | undefined> = v.optional(jsonObject)

/** An object of anything by name; a record alone would take an array. */
export function recordOf<Value>(
  value: v.GenericSchema<unknown, Value>,
): v.GenericSchema<unknown, Readonly<Record<string, Value>>> {
  return v.pipe(
    v.custom<Readonly<Record<string, unknown>>>(
      (input) => isJsonObject(input as JsonValue),
      'must be an object',
    ),
    v.record(v.string(), value),
  )
}

/** The `timeout` key of endpoints that ask other servers. */
export const remoteTimeout: v.GenericSchema<unknown, number> = v.optional(
  v.pipe(
    v.number(),
    v.integer(),
    v.minValue(0),
    v.transform((ms) => Math.min(ms, MAX_REMOTE_TIMEOUT_MS)),
  ),
  DEFAULT_REMOTE_TIMEOUT_MS,
)

/** @throws MatrixError M_FORBIDDEN when the path names another user. */
export function checkSelf(requester: Requester, userId: UserId): void {
  if (requester.userId !== userId) throw forbidden('this belongs to another user')
}

type Interactive = {
  readonly engine: ApiEngine
  readonly request: Request
  readonly auth: JsonObject | undefined
}

/** @throws MatrixError when an application service names no device. spec: application-service-api.md "Identity assertion" */
export function requireDevice({ deviceId }: Requester): void {
  if (deviceId === NO_DEVICE) throw missingParam('this needs a device_id')
}

/** The 401 answer while authentication is incomplete; `undefined` when it is complete. */
export async function challenge(
  { engine, request, auth }: Interactive,
  stages: readonly string[],
  userId?: UserId,
): Promise<Response | undefined> {
  const { pathname } = new URL(request.url)
  const operation = `${request.method} ${pathname} ${userId ?? ''}`
  const answer = await engine.users.interactive.check(operation, auth, stages, userId)
  return answer === undefined ? undefined : jsonResponse(401, { ...answer })
}

/**
 * As `challenge`, for a user who proves who they are. The `service` that acts as the user need not, where the
 * specification spares it.
 */
export async function challengeUser(
  interactive: Interactive & { readonly service?: AppService | undefined },
  userId: UserId,
): Promise<Response | undefined> {
  if (interactive.service !== undefined) return undefined
  return challenge(interactive, await interactive.engine.users.interactive.stagesFor(userId), userId)
}

/** Before any look for the account: who may not ask learns nothing. */
export function requireAdmin(engine: ApiEngine, requester: Requester): void {
  if (!engine.users.moderation.isAdmin(requester.userId))
    throw forbidden('this is for administrators of the server')
}
