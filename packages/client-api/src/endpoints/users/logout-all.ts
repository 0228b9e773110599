// POST /_matrix/client/v3/logout/all https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logoutall
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const logoutAll: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/logout/all',
  auth: 'user',
  whileLocked: true,
  async handler({ engine, requester }) {
    await engine.users.accounts.logoutAll(requester.userId)
    return {}
  },
})
