// POST /_matrix/client/v3/login https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login
import type { JsonObject, UserId } from '@plexus/core'
import { ownUserId, type AppService, type NewDevice } from '@plexus/engine'
import * as v from 'valibot'
import { newDevice, requireService, sessionAnswer, SERVICE_LOGIN } from './session.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { accountLocked, forbidden, MatrixError, missingParam } from '../../matrix-error.ts'
import type { ApiEngine } from '../../services.ts'

export const login: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/login',
  auth: 'none',
  rateLimit: 'login',
  bodySchema: v.object({
    type: v.string(),
    identifier: v.optional(v.object({ type: v.string(), user: v.optional(v.string()) })),
    user: v.optional(v.string()),
    password: v.optional(v.string()),
    token: v.optional(v.string()),
    device_id: v.optional(v.string()),
    initial_device_display_name: v.optional(v.string()),
    refresh_token: v.optional(v.boolean()),
  }),
  async handler({ engine, address, service, token, body }) {
    const { type, identifier, password } = body
    const device = newDevice(body, address)
    if (type === 'm.login.token') return loginByToken(engine, body.token, device)
    if (type !== 'm.login.password' && type !== SERVICE_LOGIN)
      throw new MatrixError(400, 'M_UNKNOWN', 'this node knows the types that GET /login lists only')
    if (identifier !== undefined && identifier.type !== 'm.id.user') {
      throw new MatrixError(400, 'M_UNKNOWN', 'this node knows users by their id only')
    }
    // The `user` key at the top is of clients before r0.4.
    const user = identifier?.user ?? body.user
    if (type === SERVICE_LOGIN) return loginByService(engine, requireService(service, token), user, device)
    if (user === undefined || password === undefined) throw missingParam('identifier and password are needed')
    const { accounts, moderation } = engine.users
    const own = ownUserId(user, engine.serverName)
    const { locked } = own === undefined ? {} : await moderation.restrictionsOf(own)
    // Only who has the password learns of it.
    if (own !== undefined && locked === true && (await accounts.checkPassword(own, password)))
      throw accountLocked()
    return sessionAnswer(engine, await accounts.login(user, password, device))
  },
})

/** spec: client-server-api "Token-based user login" */
async function loginByToken(
  engine: ApiEngine,
  token: string | undefined,
  device: NewDevice,
): Promise<JsonObject> {
  const { accounts, loginTokens } = engine.users
  if (token === undefined) throw missingParam('the token is missing')
  const userId = loginTokens.take(token)
  if (userId === undefined || !(await accounts.exists(userId)))
    throw forbidden('the token is not known, was used, or has expired')
  return openSession(engine, userId, device)
}

/** spec: application-service-api.md "Server admin style permissions" */
async function loginByService(
  engine: ApiEngine,
  service: AppService,
  user: string | undefined,
  device: NewDevice,
): Promise<JsonObject> {
  if (user === undefined) throw missingParam('the identifier is missing')
  const userId = ownUserId(user, engine.serverName)
  if (userId === undefined || !service.coversUser(userId))
    throw new MatrixError(
      400,
      'M_EXCLUSIVE',
      'the user is outside of the namespaces of the application service',
    )
  if (!(await engine.users.accounts.exists(userId))) throw forbidden('there is no such user')
  return openSession(engine, userId, device)
}

async function openSession(engine: ApiEngine, userId: UserId, device: NewDevice): Promise<JsonObject> {
  if ((await engine.users.moderation.restrictionsOf(userId)).locked === true) throw accountLocked()
  return sessionAnswer(engine, await engine.users.accounts.openSession(userId, device))
}
