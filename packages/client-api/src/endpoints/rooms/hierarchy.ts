// GET /_matrix/client/v1/rooms/{roomId}/hierarchy https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
import type { JsonObject, RoomId } from '@plexus/core'
import type { SpaceChild } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden, invalidParam } from '../../matrix-error.ts'
import { queryBoolean, queryInteger } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { inRoom } from './common.ts'
import { summaryOf } from './summary-common.ts'

/** Rooms of one page of a space. */
export const MAX_HIERARCHY_PAGE = 100
const DEFAULT_HIERARCHY_PAGE = '50'

/** How deep a space is walked, and how many of its rooms at all. */
export const MAX_HIERARCHY_DEPTH = 10
export const MAX_HIERARCHY_ROOMS = 1_000

export const hierarchy: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/hierarchy',
  auth: 'user',
  pathSchema: inRoom,
  querySchema: v.object({
    suggested_only: v.optional(queryBoolean, 'false'),
    limit: v.optional(queryInteger(1, MAX_HIERARCHY_PAGE), DEFAULT_HIERARCHY_PAGE),
    max_depth: v.optional(queryInteger(0, MAX_HIERARCHY_DEPTH), String(MAX_HIERARCHY_DEPTH)),
    from: v.optional(v.string()),
  }),
  handler: async ({ engine, requester, path, query }) => {
    const { suggested_only: suggestedOnly, max_depth: depth, limit } = query
    const token = /^h([01])_([0-9]{1,2})_([0-9]{1,6})$/.exec(
      query.from ?? `h${Number(suggestedOnly)}_${depth}_0`,
    )
    if (token === null) throw invalidParam('from is not a token of this server')
    if (token[1] !== String(Number(suggestedOnly)) || token[2] !== String(depth)) {
      throw invalidParam('suggested_only and max_depth cannot change between pages')
    }
    const start = Number(token[3])
    const rooms = await walkSpace(engine, requester, path.roomId, depth, suggestedOnly)
    if (rooms.length === 0) throw forbidden('you cannot see this room')
    const end = start + limit
    return {
      rooms: rooms.slice(start, end),
      ...(end < rooms.length ? { next_batch: `h${Number(suggestedOnly)}_${depth}_${end}` } : {}),
    }
  },
})

/** Depth first, each room once; rooms that this node does not know are left out, with all below them. */
async function walkSpace(
  engine: ApiEngine,
  { userId }: Requester,
  root: RoomId,
  maxDepth: number,
  suggestedOnly: boolean,
): Promise<readonly JsonObject[]> {
  const found: JsonObject[] = []
  const seen = new Set<RoomId>()
  const stack: { readonly roomId: RoomId; readonly depth: number }[] = [{ roomId: root, depth: 0 }]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { roomId, depth } = next
    if (seen.has(roomId)) continue
    if (seen.size >= MAX_HIERARCHY_ROOMS) break
    seen.add(roomId)
    const room = await engine.roomDirectory.describe(roomId, userId)
    if (room === undefined) continue
    const all = await engine.roomDirectory.childrenOf(roomId)
    const children = suggestedOnly ? all.filter(({ suggested }) => suggested) : all
    found.push({ ...summaryOf(room), children_state: children.map((child) => childState(child)) })
    if (depth < maxDepth)
      stack.push(...children.map((child) => ({ roomId: child.roomId, depth: depth + 1 })).toReversed())
  }
  return found
}

function childState({ roomId, event }: SpaceChild): JsonObject {
  return {
    type: 'm.space.child',
    state_key: roomId,
    sender: event.sender,
    content: event.content,
    origin_server_ts: event.sentAt,
  }
}
