// GET /_matrix/client/v3/rooms/{roomId}/event/{eventId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomideventeventid
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { atEvent } from './common.ts'

export const event: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/event/{eventId}',
  auth: 'user',
  pathSchema: atEvent,
  handler: ({ engine, requester, path }) => engine.reader.event(requester, path.roomId, path.eventId),
})
