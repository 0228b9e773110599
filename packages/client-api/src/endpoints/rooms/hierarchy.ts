// GET /_matrix/client/v1/rooms/{roomId}/hierarchy https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
import { roomSummary, spaceChildState } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden, invalidParam } from '../../matrix-error.ts'
import { queryBoolean, queryInteger } from '../../schemas.ts'
import { inRoom } from './common.ts'

/** Rooms of one page of a space. */
export const MAX_HIERARCHY_PAGE = 100
const DEFAULT_HIERARCHY_PAGE = '50'

/** How deep a space is walked. */
const MAX_HIERARCHY_DEPTH = 10

export const hierarchy: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/hierarchy',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: inRoom,
  querySchema: v.object({
    suggested_only: v.optional(queryBoolean, 'false'),
    limit: v.optional(queryInteger(1, MAX_HIERARCHY_PAGE), DEFAULT_HIERARCHY_PAGE),
    max_depth: v.optional(queryInteger(0, MAX_HIERARCHY_DEPTH), String(MAX_HIERARCHY_DEPTH)),
    from: v.optional(v.string()),
  }),
  handler: async ({ engine, requester, path, query, signal }) => {
    const { suggested_only: suggestedOnly, max_depth: depth, limit } = query
    const token = /^h([01])_([0-9]{1,2})_([0-9]{1,6})$/.exec(
      query.from ?? `h${Number(suggestedOnly)}_${depth}_0`,
    )
    if (token === null) throw invalidParam('from is not a token of this server')
    if (token[1] !== String(Number(suggestedOnly)) || token[2] !== String(depth)) {
      throw invalidParam('suggested_only and max_depth cannot change between pages')
    }
    const start = Number(token[3])
    const how = { maxDepth: depth, suggestedOnly }
    const rooms = await engine.roomDirectory.walk(path.roomId, requester.userId, how, signal)
    if (rooms.length === 0) throw forbidden('you cannot see this room')
    const end = start + limit
    return {
      rooms: rooms.slice(start, end).map((room) => ({
        ...roomSummary(room),
        children_state: room.children.map(spaceChildState),
      })),
      ...(end < rooms.length ? { next_batch: `h${Number(suggestedOnly)}_${depth}_${end}` } : {}),
    }
  },
})
