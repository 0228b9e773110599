// PUT /_matrix/client/v1/admin/suspend/{userId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminsuspenduserid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { requireAdmin } from './common.ts'

export const setSuspension: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v1/admin/suspend/{userId}',
  auth: 'user',
  pathSchema: v.object({ userId }),
  bodySchema: v.object({ suspended: v.boolean() }),
  async handler({ engine, requester, path, body: { suspended } }) {
    requireAdmin(engine, requester)
    await engine.users.moderation.restrict(path.userId, { suspended })
    return { suspended }
  },
})
