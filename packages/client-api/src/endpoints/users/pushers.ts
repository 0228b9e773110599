// GET /_matrix/client/v3/pushers https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const pushers: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/pushers',
  auth: 'user',
  async handler({ engine, requester }) {
    return { pushers: await engine.users.pushers.list(requester.userId) }
  },
})
