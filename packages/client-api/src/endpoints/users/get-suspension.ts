// GET /_matrix/client/v1/admin/suspend/{userId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1adminsuspenduserid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { requireAdmin } from './common.ts'

export const getSuspension: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/admin/suspend/{userId}',
  auth: 'user',
  pathSchema: v.object({ userId }),
  async handler({ engine, requester, path }) {
    requireAdmin(engine, requester)
    return { suspended: (await engine.users.moderation.find(path.userId)).suspended === true }
  },
})
