// GET /_matrix/client/v3/account/whoami https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { NO_DEVICE } from '../../services.ts'

export const whoami: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/account/whoami',
  auth: 'user',
  handler: ({ requester }) => ({
    user_id: requester.userId,
    ...(requester.deviceId === NO_DEVICE ? {} : { device_id: requester.deviceId }),
    is_guest: false,
  }),
})
