/**
 * GET /_matrix/client/v3/admin/whois/{userId}
 * GET and PUT /_matrix/client/v1/admin/lock/{userId}, /_matrix/client/v1/admin/suspend/{userId}
 * https://spec.matrix.org/v1.19/client-server-api/#server-administration
 */
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden } from '../../matrix-error.ts'
import { userId } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'

const ofUser = v.object({ userId })

/** Before any look for the account: who may not ask learns nothing. */
function requireAdmin(engine: ApiEngine, requester: Requester): void {
  if (!engine.users.moderation.isAdmin(requester.userId))
    throw forbidden('this is for administrators of the server')
}

/** This server keeps no addresses of its users. */
const whois: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/admin/whois/{userId}',
  auth: 'user',
  pathSchema: ofUser,
  async handler({ engine, requester, path }) {
    if (path.userId !== requester.userId) requireAdmin(engine, requester)
    const { devices, moderation } = engine.users
    await moderation.find(path.userId)
    const list = await devices.list(path.userId)
    const sessions = list.map(({ deviceId, lastSeenAt }) => [
      deviceId,
      { sessions: [{ connections: lastSeenAt === undefined ? [] : [{ last_seen: lastSeenAt }] }] },
    ])
    return { user_id: path.userId, devices: Object.fromEntries(sessions) }
  },
})

const getLock: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/admin/lock/{userId}',
  auth: 'user',
  pathSchema: ofUser,
  async handler({ engine, requester, path }) {
    requireAdmin(engine, requester)
    return { locked: (await engine.users.moderation.find(path.userId)).locked === true }
  },
})

const putLock: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v1/admin/lock/{userId}',
  auth: 'user',
  pathSchema: ofUser,
  bodySchema: v.object({ locked: v.boolean() }),
  async handler({ engine, requester, path, body: { locked } }) {
    requireAdmin(engine, requester)
    await engine.users.moderation.restrict(path.userId, { locked })
    return { locked }
  },
})

const getSuspension: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/admin/suspend/{userId}',
  auth: 'user',
  pathSchema: ofUser,
  async handler({ engine, requester, path }) {
    requireAdmin(engine, requester)
    return { suspended: (await engine.users.moderation.find(path.userId)).suspended === true }
  },
})

const putSuspension: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v1/admin/suspend/{userId}',
  auth: 'user',
  pathSchema: ofUser,
  bodySchema: v.object({ suspended: v.boolean() }),
  async handler({ engine, requester, path, body: { suspended } }) {
    requireAdmin(engine, requester)
    await engine.users.moderation.restrict(path.userId, { suspended })
    return { suspended }
  },
})

export const admin: readonly Endpoint[] = [whois, getLock, putLock, getSuspension, putSuspension]
