// POST /_matrix/client/v3/register https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register
import { newDevice, requireService, sessionAnswer, SERVICE_LOGIN } from './session.ts'
import type { JsonObject } from '@plexus/core'
import type { AppService, NewDevice } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, missingParam } from '../../matrix-error.ts'
import type { ApiEngine } from '../../services.ts'
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
    type: v.optional(v.string()),
    inhibit_login: v.optional(v.boolean(), false),
  }),
  async handler({ engine, service, token, address, request, query, body }) {
    if (body.type === SERVICE_LOGIN)
      return registerByService(engine, requireService(service, token), body, newDevice(body, address))
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
    return sessionAnswer(engine, await accounts.register(account, newDevice(body, address)))
  },
})

/** Without stages or a password, and whoever else may register. spec: application-service-api.md "Server admin style permissions" */
async function registerByService(
  engine: ApiEngine,
  by: AppService,
  body: { readonly username?: string | undefined; readonly inhibit_login: boolean },
  device: NewDevice,
): Promise<JsonObject> {
  const { username: localpart, inhibit_login: inhibited } = body
  if (localpart === undefined) throw missingParam('username is missing')
  const { accounts } = engine.users
  if (inhibited)
    return { user_id: await accounts.register({ localpart, by }), home_server: engine.serverName }
  return sessionAnswer(engine, await accounts.register({ localpart, by }, device))
}
