// GET /_matrix/client/v3/notifications https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const notifications: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/notifications',
  auth: 'user',
  handler: () => ({ notifications: [] }),
})
