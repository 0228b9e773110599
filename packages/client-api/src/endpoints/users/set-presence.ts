// PUT /_matrix/client/v3/presence/{userId}/status https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3presenceuseridstatus
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const setPresence: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/presence/{userId}/status',
  auth: 'user',
  pathSchema: v.object({ userId }),
  bodySchema: v.object({
    presence: v.picklist(['online', 'offline', 'unavailable']),
    status_msg: v.optional(v.string()),
  }),
  handler({ engine, requester, path, body }) {
    checkSelf(requester, path.userId)
    engine.presence.set(requester, body.presence, body.status_msg)
    return {}
  },
})
