// POST /_matrix/client/v3/logout https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logout
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { requireDevice } from './common.ts'

export const logout: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/logout',
  auth: 'user',
  whileLocked: true,
  async handler({ engine, requester }) {
    requireDevice(requester)
    await engine.users.accounts.logout(requester)
    return {}
  },
})
