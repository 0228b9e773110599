// POST /_matrix/client/v3/rooms/{roomId}/read_markers https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidread_markers
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { eventId } from '../../schemas.ts'
import { inRoom } from './common.ts'
import { MARKERS, mark } from './ephemeral-common.ts'

export const readMarkers: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/read_markers',
  auth: 'user',
  pathSchema: inRoom,
  bodySchema: v.object({
    'm.fully_read': v.optional(eventId),
    'm.read': v.optional(eventId),
    'm.read.private': v.optional(eventId),
  }),
  handler: async ({ engine, requester, path, body }) => {
    for (const type of MARKERS) {
      const id = body[type]
      if (id !== undefined) await mark(engine, requester, path.roomId, type, id)
    }
    return {}
  },
})
