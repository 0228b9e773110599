// DELETE /_matrix/client/v3/profile/{userId}/{keyName} https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3profileuseridkeyname
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const deleteProfileField: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/profile/{userId}/{keyName}',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: v.object({ userId, keyName: v.string() }),
  async handler({ engine, requester, path }) {
    checkSelf(requester, path.userId)
    await engine.users.profiles.set(path.userId, path.keyName, undefined)
    return {}
  },
})
