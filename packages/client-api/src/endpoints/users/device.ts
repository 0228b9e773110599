// GET /_matrix/client/v3/devices/{deviceId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devicesdeviceid
import { clientDevice } from './client-device.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'

export const device: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/devices/{deviceId}',
  auth: 'user',
  pathSchema: v.object({ deviceId: v.string() }),
  async handler({ engine, requester, path }) {
    const device = await engine.users.devices.get({ userId: requester.userId, deviceId: path.deviceId })
    if (device === undefined) throw notFound('there is no such device')
    return clientDevice(device)
  },
})
