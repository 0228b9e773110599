// DELETE /_matrix/client/v3/devices/{deviceId} https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3devicesdeviceid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { auth, challengeUser } from './common.ts'

export const deleteDevice: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/devices/{deviceId}',
  auth: 'user',
  rateLimit: 'login',
  pathSchema: v.object({ deviceId: v.string() }),
  bodySchema: v.object({ auth }),
  async handler({ engine, service, request, requester, path, body }) {
    const more = await challengeUser({ engine, service, request, auth: body.auth }, requester.userId)
    if (more !== undefined) return more
    await engine.users.devices.delete(requester.userId, [path.deviceId])
    return {}
  },
})
