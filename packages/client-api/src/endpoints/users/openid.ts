// POST /_matrix/client/v3/user/{userId}/openid/request_token https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const openId: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/user/{userId}/openid/request_token',
  auth: 'user',
  pathSchema: v.object({ userId }),
  handler({ engine, requester, path }) {
    checkSelf(requester, path.userId)
    const { token, expiresIn } = engine.users.openId.create(path.userId)
    return {
      access_token: token,
      token_type: 'Bearer',
      matrix_server_name: engine.serverName,
      expires_in: expiresIn,
    }
  },
})
