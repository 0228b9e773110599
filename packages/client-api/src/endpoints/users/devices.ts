// GET /_matrix/client/v3/devices https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices
import { clientDevice } from './client-device.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const devices: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/devices',
  auth: 'user',
  async handler({ engine, requester }) {
    return { devices: (await engine.users.devices.list(requester.userId)).map(clientDevice) }
  },
})
