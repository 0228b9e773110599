// POST /_matrix/client/v3/account/deactivate https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { auth, challengeUser } from './common.ts'

export const deactivate: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/account/deactivate',
  auth: 'user',
  rateLimit: 'login',
  bodySchema: v.object({ auth }),
  async handler({ engine, request, requester, body }) {
    const more = await challengeUser({ engine, request, auth: body.auth }, requester.userId)
    if (more !== undefined) return more
    await engine.users.accounts.deactivate(requester.userId)
    return { id_server_unbind_result: 'no-support' }
  },
})
