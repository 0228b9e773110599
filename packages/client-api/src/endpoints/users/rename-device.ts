// PUT /_matrix/client/v3/devices/{deviceId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3devicesdeviceid
import * as v from 'valibot'
import { endpoint, jsonResponse } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'

export const renameDevice: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/devices/{deviceId}',
  auth: 'user',
  pathSchema: v.object({ deviceId: v.string() }),
  bodySchema: v.object({ display_name: v.optional(v.string()) }),
  async handler({ engine, service, requester, path, body }) {
    const device = { userId: requester.userId, deviceId: path.deviceId }
    if ((await engine.users.devices.get(device)) === undefined) {
      if (service === undefined) throw notFound('there is no such device')
      // spec: application-service-api.md "Creating devices"
      await engine.users.devices.create(device, body.display_name)
      return jsonResponse(201, {})
    }
    if (body.display_name !== undefined) await engine.users.devices.rename(device, body.display_name)
    return {}
  },
})
