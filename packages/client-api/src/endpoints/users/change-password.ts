// POST /_matrix/client/v3/account/password https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { auth, challengeUser } from './common.ts'

export const changePassword: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/account/password',
  auth: 'user',
  rateLimit: 'login',
  bodySchema: v.object({ auth, new_password: v.string(), logout_devices: v.optional(v.boolean(), true) }),
  async handler({ engine, request, requester, body }) {
    const more = await challengeUser({ engine, request, auth: body.auth }, requester.userId)
    if (more !== undefined) return more
    const options = body.logout_devices ? { keep: requester } : {}
    await engine.users.accounts.setPassword(requester.userId, body.new_password, options)
    return {}
  },
})
