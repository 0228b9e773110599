// GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { eventId, queryBoolean, roomId } from '../../schemas.ts'
import { direction, pageLimit } from './common.ts'

export const relations: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}',
  aliases: [
    '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}',
    '/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}',
  ],
  auth: 'user',
  pathSchema: v.object({
    roomId,
    eventId,
    relType: v.optional(v.string()),
    eventType: v.optional(v.string()),
  }),
  querySchema: v.object({
    dir: v.optional(direction, 'b'),
    from: v.optional(v.string()),
    to: v.optional(v.string()),
    limit: pageLimit,
    recurse: v.optional(queryBoolean),
  }),
  handler: async ({ engine, requester, path, query }) => {
    const { chunk, next } = await engine.reader.relations(requester, {
      roomId: path.roomId,
      parent: path.eventId,
      ...(path.relType === undefined ? {} : { relType: path.relType }),
      ...(path.eventType === undefined ? {} : { eventType: path.eventType }),
      direction: query.dir,
      ...(query.from === undefined ? {} : { from: query.from }),
      ...(query.to === undefined ? {} : { to: query.to }),
      limit: Math.max(1, query.limit),
    })
    return {
      chunk,
      ...(next === undefined ? {} : { next_batch: next }),
      ...(query.from === undefined ? {} : { prev_batch: query.from }),
      ...(query.recurse === true ? { recursion_depth: 1 } : {}),
    }
  },
})
