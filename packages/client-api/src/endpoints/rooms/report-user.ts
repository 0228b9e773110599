// POST /_matrix/client/v3/users/{userId}/report https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3usersuseridreport
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'

export const reportUser: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/users/{userId}/report',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: v.object({ userId }),
  bodySchema: v.object({ reason: v.string() }),
  async handler({ engine, requester, path, body }) {
    await engine.users.reports.add(requester.userId, { userId: path.userId }, body.reason)
    return {}
  },
})
