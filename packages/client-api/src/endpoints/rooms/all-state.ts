// GET /_matrix/client/v3/rooms/{roomId}/state https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate
import { endpoint, jsonResponse } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { inRoom } from './common.ts'

export const allState: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/state',
  auth: 'user',
  pathSchema: inRoom,
  handler: async ({ engine, requester, path }) =>
    jsonResponse(200, await engine.reader.state(requester, path.roomId)),
})
