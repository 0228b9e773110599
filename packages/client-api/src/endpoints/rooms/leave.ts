// POST /_matrix/client/v3/rooms/{roomId}/leave https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidleave
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden } from '../../matrix-error.ts'
import { inRoom, reasonOf, withReason } from './common.ts'

export const leave: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/leave',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: inRoom,
  bodySchema: withReason,
  handler: async ({ engine, requester, path, body }) => {
    const row = await engine.rooms.membership(requester.userId, path.roomId)
    if (row === undefined) throw forbidden('you are not in this room')
    if (row.membership !== 'leave')
      await engine.rooms.leave(requester.userId, path.roomId, reasonOf(body.reason))
    return {}
  },
})
