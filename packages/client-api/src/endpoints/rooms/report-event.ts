// POST /_matrix/client/v3/rooms/{roomId}/report/{eventId} https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreporteventid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { atEvent } from './common.ts'

/** Only what the user can see is reported. */
export const reportEvent: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/report/{eventId}',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: atEvent,
  // `score` is of versions before 1.18, and says nothing that an operator could use.
  bodySchema: v.object({ reason: v.optional(v.string(), '') }),
  async handler({ engine, requester, path, body }) {
    const { roomId, eventId } = path
    await engine.reader.event(requester, roomId, eventId)
    await engine.users.reports.add(requester.userId, { roomId, eventId }, body.reason)
    return {}
  },
})
