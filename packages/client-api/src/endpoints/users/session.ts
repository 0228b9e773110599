/** What registration and login have in common. */
import type { JsonObject } from '@plexus/core'
import type { AppService, NewDevice } from '@plexus/engine'
import type { Session } from '@plexus/engine/ports'
import { unknownToken } from '../../access-token.ts'
import { MatrixError } from '../../matrix-error.ts'
import type { ApiEngine } from '../../services.ts'

/** The device that a body asks for. */
export function newDevice(
  body: {
    readonly device_id?: string | undefined
    readonly initial_device_display_name?: string | undefined
    readonly refresh_token?: boolean | undefined
  },
  address: string | undefined,
): NewDevice {
  return {
    ...(address === undefined ? {} : { address }),
    ...(body.device_id === undefined ? {} : { deviceId: body.device_id }),
    ...(body.initial_device_display_name === undefined
      ? {}
      : { displayName: body.initial_device_display_name }),
    ...(body.refresh_token === true ? { refreshable: true } : {}),
  }
}

/** `home_server` is deprecated, but old clients read it. */
export function sessionAnswer(engine: ApiEngine, session: Session): JsonObject {
  const { userId, deviceId, accessToken, refresh } = session
  return {
    user_id: userId,
    access_token: accessToken,
    device_id: deviceId,
    home_server: engine.serverName,
    ...(refresh === undefined ? {} : { refresh_token: refresh.token, expires_in_ms: refresh.expiresInMs }),
  }
}

/** How an application service makes accounts and logs in. */
export const SERVICE_LOGIN = 'm.login.application_service'

/** @throws MatrixError M_MISSING_TOKEN, M_UNKNOWN_TOKEN. spec: application-service-api.md "Server admin style permissions" */
export function requireService(service: AppService | undefined, token: string | undefined): AppService {
  if (service !== undefined) return service
  if (token === undefined) throw new MatrixError(401, 'M_MISSING_TOKEN', 'the as_token is needed')
  throw unknownToken(false)
}
