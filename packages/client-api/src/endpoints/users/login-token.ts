// POST /_matrix/client/v1/login/get_token https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError } from '../../matrix-error.ts'
import { auth, challengeUser } from './common.ts'

export const loginToken: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v1/login/get_token',
  auth: 'user',
  rateLimit: 'login',
  bodySchema: v.object({ auth }),
  async handler({ engine, request, requester, body }) {
    const { accounts, loginTokens } = engine.users
    // Without one nothing would prove that it is the user who asks, and not who found the session.
    if (!(await accounts.hasPassword(requester.userId)))
      throw new MatrixError(400, 'M_UNKNOWN', 'the account has no password to prove who asks')
    const more = await challengeUser({ engine, request, auth: body.auth }, requester.userId)
    if (more !== undefined) return more
    const { token, expiresInMs } = loginTokens.issue(requester.userId)
    return { login_token: token, expires_in_ms: expiresInMs }
  },
})
