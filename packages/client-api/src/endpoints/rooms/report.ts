/**
 * POST /_matrix/client/v3/rooms/{roomId}/report
 * POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}
 * POST /_matrix/client/v3/users/{userId}/report
 * https://spec.matrix.org/v1.19/client-server-api/#reporting-content
 */
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'
import { atEvent, inRoom } from './common.ts'

const withReason = v.object({ reason: v.string() })

/** Whether this server knows the room or user is not told. */
export const reportRoom: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/report',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: inRoom,
  bodySchema: withReason,
  async handler({ engine, requester, path, body }) {
    await engine.users.reports.add(requester.userId, { roomId: path.roomId }, body.reason)
    return {}
  },
})

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

export const reportUser: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/users/{userId}/report',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: v.object({ userId }),
  bodySchema: withReason,
  async handler({ engine, requester, path, body }) {
    await engine.users.reports.add(requester.userId, { userId: path.userId }, body.reason)
    return {}
  },
})
