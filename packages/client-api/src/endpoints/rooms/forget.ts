// POST /_matrix/client/v3/rooms/{roomId}/forget https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError } from '../../matrix-error.ts'
import { inRoom } from './common.ts'

export const forget: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/forget',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: inRoom,
  handler: async ({ engine, requester, path }) => {
    const row = await engine.rooms.membership(requester.userId, path.roomId)
    if (row?.membership === 'join' || row?.membership === 'invite' || row?.membership === 'knock') {
      throw new MatrixError(400, 'M_UNKNOWN', 'leave the room before forgetting it')
    }
    if (row !== undefined) await engine.rooms.forget(requester.userId, path.roomId)
    return {}
  },
})
