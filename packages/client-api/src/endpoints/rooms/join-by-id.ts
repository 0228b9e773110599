// POST /_matrix/client/v3/rooms/{roomId}/join https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidjoin
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { inRoom } from './common.ts'
import { joinBody, joinRoom } from './join-common.ts'

export const joinById: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/join',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'lookup',
  pathSchema: inRoom,
  bodySchema: joinBody,
  handler: ({ engine, requester, path, body, signal }) =>
    joinRoom(engine, requester, { roomId: path.roomId, via: [] }, body, signal),
})
