// GET /_matrix/client/v3/rooms/{roomId}/messages https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { direction, eventFilterOf, inRoom, MAX_PAGE, pageLimit } from './common.ts'

export const messages: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/messages',
  auth: 'user',
  pathSchema: inRoom,
  querySchema: v.object({
    dir: direction,
    from: v.optional(v.string()),
    to: v.optional(v.string()),
    limit: pageLimit,
    filter: v.optional(v.string()),
  }),
  handler: async ({ engine, requester, path, query, signal }) => {
    const filter = eventFilterOf(query.filter)
    const { chunk, start, end, state } = await engine.reader.page(requester, {
      roomId: path.roomId,
      direction: query.dir,
      ...(query.from === undefined ? {} : { from: query.from }),
      ...(query.to === undefined ? {} : { to: query.to }),
      limit: Math.max(1, Math.min(query.limit, filter.limit ?? MAX_PAGE)),
      filter,
      signal,
    })
    return { chunk, start, ...(end === undefined ? {} : { end }), ...(state.length === 0 ? {} : { state }) }
  },
})
