// GET /_matrix/client/v3/rooms/{roomId}/context/{eventId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { atEvent, eventFilterOf, pageLimit } from './common.ts'

export const context: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/context/{eventId}',
  auth: 'user',
  pathSchema: atEvent,
  querySchema: v.object({ limit: pageLimit, filter: v.optional(v.string()) }),
  handler: async ({ engine, requester, path, query }) => {
    const filter = eventFilterOf(query.filter)
    const { roomId, eventId } = path
    const sides = { before: Math.ceil(query.limit / 2), after: Math.floor(query.limit / 2) }
    const found = await engine.reader.context(requester, roomId, eventId, sides, filter)
    return {
      event: found.event,
      events_before: found.before,
      events_after: found.after,
      state: found.state,
      start: found.start,
      end: found.end,
    }
  },
})
