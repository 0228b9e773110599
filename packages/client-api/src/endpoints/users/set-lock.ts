// PUT /_matrix/client/v1/admin/lock/{userId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminlockuserid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { requireAdmin } from './common.ts'

export const setLock: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v1/admin/lock/{userId}',
  auth: 'user',
  pathSchema: v.object({ userId }),
  bodySchema: v.object({ locked: v.boolean() }),
  async handler({ engine, requester, path, body: { locked } }) {
    requireAdmin(engine, requester)
    await engine.users.moderation.restrict(path.userId, { locked })
    return { locked }
  },
})
