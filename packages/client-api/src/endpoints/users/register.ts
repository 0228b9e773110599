// POST /_matrix/client/v3/register https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
import { newDevice, sessionAnswer } from './session.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError } from '../../matrix-error.ts'
import { auth, challenge } from './common.ts'

export const register: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/register',
  auth: 'none',
  rateLimit: 'login',
  querySchema: v.object({ kind: v.optional(v.picklist(['user', 'guest']), 'user') }),
  bodySchema: v.object({
    auth,
    username: v.optional(v.string()),
    password: v.optional(v.string()),
    device_id: v.optional(v.string()),
    initial_device_display_name: v.optional(v.string()),
    refresh_token: v.optional(v.boolean()),
    inhibit_login: v.optional(v.boolean(), false),
  }),
  async handler({ engine, request, query, body }) {
    if (query.kind === 'guest')
      throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'there are no guests here')
    const { accounts, registration } = engine.users
    if (registration.mode === 'closed')
      throw new MatrixError(403, 'M_FORBIDDEN', 'this server takes no new accounts')
    // A name that is taken is said before the user goes through the stages.
    if (body.username !== undefined) await accounts.checkAvailable(body.username)
    const more = await challenge({ engine, request, auth: body.auth }, registration.stages)
    if (more !== undefined) return more
    const account = {
      ...(body.username === undefined ? {} : { localpart: body.username }),
      ...(body.password === undefined ? {} : { password: body.password }),
    }
    if (body.inhibit_login)
      return { user_id: await accounts.register(account), home_server: engine.serverName }
    return sessionAnswer(engine, await accounts.register(account, newDevice(body)))
  },
})
