// POST /_matrix/client/v3/rooms/{roomId}/report https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreport
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { inRoom } from './common.ts'

/** Whether this server knows the room or user is not told. */
export const reportRoom: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/report',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: inRoom,
  bodySchema: v.object({ reason: v.string() }),
  async handler({ engine, requester, path, body }) {
    await engine.users.reports.add(requester.userId, { roomId: path.roomId }, body.reason)
    return {}
  },
})
