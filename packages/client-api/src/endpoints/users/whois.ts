// GET /_matrix/client/v3/admin/whois/{userId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { requireAdmin } from './common.ts'

export const whois: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/admin/whois/{userId}',
  auth: 'user',
  pathSchema: v.object({ userId }),
  async handler({ engine, requester, path }) {
    if (path.userId !== requester.userId) requireAdmin(engine, requester)
    const { devices, moderation } = engine.users
    await moderation.find(path.userId)
    const list = await devices.list(path.userId)
    const sessions = list.map(({ deviceId, lastSeenAt, lastSeenFrom: ip }) => {
      const connection = { last_seen: lastSeenAt ?? 0, ...(ip === undefined ? {} : { ip }) }
      return [deviceId, { sessions: [{ connections: lastSeenAt === undefined ? [] : [connection] }] }]
    })
    return { user_id: path.userId, devices: Object.fromEntries(sessions) }
  },
})
