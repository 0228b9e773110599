/** GET /_matrix/federation/v1/openid/userinfo. spec: v1.19 server-server-api.md#get_matrixfederationv1openiduserinfo */
import { ApiError } from '../answer.ts'
import type { OpenEndpoint } from '../request.ts'
import type { Services } from '../services.ts'

/** The token is the proof: whoever a user gave it to may ask. */
export const openIdUserInfo: OpenEndpoint<Services> = {
  method: 'GET',
  path: '/_matrix/federation/v1/openid/userinfo',
  open: true,
  async handle({ openId }, { query }) {
    const token = query.get('access_token')
    if (token === null) throw new ApiError(401, 'M_MISSING_TOKEN', 'access_token is missing')
    const user = openId.userOf(token)
    if (user === undefined) throw new ApiError(401, 'M_UNKNOWN_TOKEN', 'the token is unknown, or has expired')
    return { json: { sub: user } }
  },
}
