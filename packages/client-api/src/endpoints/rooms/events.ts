/**
 * GET /_matrix/client/v3/rooms/{roomId}/messages
 * GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}
 * GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}
 * GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}
 * GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event
 * https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room
 */
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { eventId, queryBoolean, queryInteger, roomId } from '../../schemas.ts'
import { atEvent, direction, eventFilterOf, inRoom, MAX_PAGE, pageLimit } from './common.ts'

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

export const event: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/event/{eventId}',
  auth: 'user',
  pathSchema: atEvent,
  handler: ({ engine, requester, path }) => engine.reader.event(requester, path.roomId, path.eventId),
})

export const context: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/context/{eventId}',
  auth: 'user',
  pathSchema: atEvent,
  querySchema: v.object({ limit: pageLimit, filter: v.optional(v.string()) }),
  handler: async ({ engine, requester, path, query }) => {
    const filter = eventFilterOf(query.filter)
    const { roomId, eventId } = path
    const found = await engine.reader.context(requester, roomId, eventId, query.limit, filter)
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

export const timestampToEvent: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/timestamp_to_event',
  auth: 'user',
  pathSchema: inRoom,
  querySchema: v.object({ ts: queryInteger(0, Number.MAX_SAFE_INTEGER), dir: direction }),
  handler: async ({ engine, requester, path, query }) => {
    const { id, pdu } = await engine.reader.atTime(requester, path.roomId, query.ts, query.dir)
    return { event_id: id, origin_server_ts: pdu.origin_server_ts }
  },
})
