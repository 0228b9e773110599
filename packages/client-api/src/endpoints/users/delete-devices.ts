// POST /_matrix/client/v3/delete_devices https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3delete_devices
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { auth, challengeUser } from './common.ts'

/** Devices in one request. */
const MAX_DELETED_DEVICES = 500

export const deleteDevices: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/delete_devices',
  auth: 'user',
  rateLimit: 'login',
  bodySchema: v.object({ auth, devices: v.pipe(v.array(v.string()), v.maxLength(MAX_DELETED_DEVICES)) }),
  async handler({ engine, service, request, requester, body }) {
    const more = await challengeUser({ engine, service, request, auth: body.auth }, requester.userId)
    if (more !== undefined) return more
    await engine.users.devices.delete(requester.userId, body.devices)
    return {}
  },
})
