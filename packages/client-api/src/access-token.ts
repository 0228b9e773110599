/** Whose token a request carries. spec: client-server-api "Using access tokens" */
import { parseUserId } from '@plexus/core'
import type { AppService } from '@plexus/engine'
import { MatrixError, forbidden, invalidParam } from './matrix-error.ts'
import type { ApiEngine, Requester } from './services.ts'
import { NO_DEVICE } from './services.ts'

/** Longest access token that is looked up. */
export const MAX_TOKEN_LENGTH = 1_024

/** The query parameter is for clients older than v1.11. */
export function tokenOf(request: Request, url: URL): string | undefined {
  const header = request.headers.get('authorization')
  if (header === null) return url.searchParams.get('access_token') ?? undefined
  const [, token] = /^bearer +([^ ]+) *$/i.exec(header) ?? []
  return token
}

/** The application service that asks. */
export function serviceOf(engine: ApiEngine, token: string | undefined): AppService | undefined {
  return token === undefined || token.length > MAX_TOKEN_LENGTH
    ? undefined
    : engine.appServices.byToken(token)
}

export async function requesterBy(
  engine: ApiEngine,
  token: string | undefined,
  address?: string,
): Promise<Requester> {
  if (token === undefined) throw new MatrixError(401, 'M_MISSING_TOKEN', 'an access token is needed')
  const answer =
    token.length > MAX_TOKEN_LENGTH
      ? ({ kind: 'unknown', softLogout: false } as const)
      : await engine.users.accounts.authenticate(token, address)
  if (answer.kind === 'requester') return answer.requester
  throw unknownToken(answer.softLogout)
}

export function unknownToken(softLogout: boolean): MatrixError {
  return new MatrixError(401, 'M_UNKNOWN_TOKEN', 'the access token is not valid', { soft_logout: softLogout })
}

/** Whom a service acts as. spec: application-service-api.md "Identity assertion" */
export async function actingAs(
  engine: ApiEngine,
  service: AppService,
  query: URLSearchParams,
): Promise<Requester> {
  const named = query.get('user_id')
  const userId = named === null ? service.sender : parseUserId(named)
  if (userId === undefined) throw invalidParam('user_id is not a user id')
  if (!service.coversUser(userId))
    throw forbidden('the user is outside of the namespaces of the application service')
  if (!(await engine.users.accounts.exists(userId)))
    throw forbidden('the application service has not registered this user')
  const deviceId = query.get('device_id')
  if (deviceId === null) return { userId, deviceId: NO_DEVICE }
  if ((await engine.users.devices.get({ userId, deviceId })) === undefined)
    throw new MatrixError(400, 'M_UNKNOWN_DEVICE', 'the user has no such device')
  return { userId, deviceId }
}
