// PUT /_matrix/client/v3/profile/{userId}/{keyName} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname
import { ownValue } from '@plexus/core'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { missingParam } from '../../matrix-error.ts'
import { jsonObject, userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const setProfileField: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/profile/{userId}/{keyName}',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: v.object({ userId, keyName: v.string() }),
  bodySchema: jsonObject,
  async handler({ engine, requester, path, body }) {
    checkSelf(requester, path.userId)
    const value = ownValue(body, path.keyName)
    if (value === undefined) throw missingParam('the body must hold the field')
    // Clients from before the DELETE endpoint empty a field to be rid of it.
    const gone = value === null && (path.keyName === 'displayname' || path.keyName === 'avatar_url')
    await engine.users.profiles.set(path.userId, path.keyName, gone ? undefined : value)
    return {}
  },
})
