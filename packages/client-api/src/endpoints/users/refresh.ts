// POST /_matrix/client/v3/refresh https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3refresh
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError } from '../../matrix-error.ts'

/** The refresh token stays good, so that an answer that is lost costs nothing; the access token before ends. */
export const refresh: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/refresh',
  auth: 'none',
  rateLimit: 'login',
  bodySchema: v.object({ refresh_token: v.string() }),
  async handler({ engine, body }) {
    const session = await engine.users.accounts.refresh(body.refresh_token)
    if (session === undefined)
      throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'the refresh token is not known', { soft_logout: false })
    return { access_token: session.accessToken, expires_in_ms: session.expiresInMs }
  },
})
