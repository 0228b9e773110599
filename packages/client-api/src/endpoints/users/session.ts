/** What registration and login have in common. */
import type { JsonObject } from '@plexus/core'
import type { NewDevice } from '@plexus/engine'
import type { Session } from '@plexus/engine/ports'
import type { ApiEngine } from '../../services.ts'

/** The device that a body asks for. */
export function newDevice(body: {
  readonly device_id?: string | undefined
  readonly initial_device_display_name?: string | undefined
  readonly refresh_token?: boolean | undefined
}): NewDevice {
  return {
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
