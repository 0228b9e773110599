// GET /_matrix/client/v1/admin/lock/{userId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1adminlockuserid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { requireAdmin } from './common.ts'

export const getLock: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/admin/lock/{userId}',
  auth: 'user',
  pathSchema: v.object({ userId }),
  async handler({ engine, requester, path }) {
    requireAdmin(engine, requester)
    return { locked: (await engine.users.moderation.find(path.userId)).locked === true }
  },
})
