/**
 * GET /_matrix/client/v1/room_summary/{roomIdOrAlias}
 * GET /_matrix/client/v1/rooms/{roomId}/hierarchy
 * GET /_matrix/client/v1/mutual_rooms
 * https://spec.matrix.org/v1.19/client-server-api/#room-summaries
 */
import { parseRoomAlias, parseRoomId } from '@plexus/core'
import type { JsonObject, RoomId } from '@plexus/core'
import type { RoomDescription, SpaceChild } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden, invalidParam, notFound } from '../../matrix-error.ts'
import { queryBoolean, queryInteger, queryList, userId } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { inRoom } from './common.ts'
import { chunkOf } from './directory.ts'

/** Rooms of one page of a space. */
export const MAX_HIERARCHY_PAGE = 100
const DEFAULT_HIERARCHY_PAGE = '50'
/** How deep a space is walked, and how many of its rooms at all. */
export const MAX_HIERARCHY_DEPTH = 10
export const MAX_HIERARCHY_ROOMS = 1_000
/** Rooms shared with somebody in one answer. */
export const MAX_MUTUAL_PAGE = 100

export const roomSummary: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/room_summary/{roomIdOrAlias}',
  auth: 'optional',
  rateLimit: 'lookup',
  pathSchema: v.object({ roomIdOrAlias: v.string() }),
  querySchema: v.object({ via: v.optional(queryList(v.string())) }),
  handler: async ({ engine, requester, path, signal }) => {
    const roomId = await roomIdOf(engine, path.roomIdOrAlias, signal)
    const room = await engine.roomDirectory.describe(roomId, requester?.userId)
    if (room === undefined) throw notFound('this node does not know such a room, or it is not open')
    const row = requester === undefined ? undefined : await engine.rooms.membership(requester.userId, roomId)
    return { ...summaryOf(room), ...(row === undefined ? {} : { membership: row.membership }) }
  },
})

async function roomIdOf(engine: ApiEngine, text: string, signal: AbortSignal): Promise<RoomId> {
  const id = parseRoomId(text)
  if (id !== undefined) return id
  const alias = parseRoomAlias(text)
  if (alias === undefined) throw invalidParam('neither a room id nor a room alias')
  return (await engine.roomDirectory.resolve(alias, signal)).roomId
}

/** spec: data/api/client-server/definitions/room_summary.yaml */
function summaryOf(room: RoomDescription): JsonObject {
  return {
    ...chunkOf(room),
    room_version: room.version,
    // The only algorithm that the definition knows; any other is nothing that a client could use.
    ...(room.encryption === 'm.megolm.v1.aes-sha2' ? { encryption: room.encryption } : {}),
    ...(room.allowedRooms.length === 0 ? {} : { allowed_room_ids: room.allowedRooms }),
  }
}

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

export const mutualRooms: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/mutual_rooms',
  auth: 'user',
  querySchema: v.object({ user_id: userId, from: v.optional(v.string()) }),
  handler: async ({ engine, requester, query }) => {
    if (query.user_id === requester.userId) throw invalidParam('these are your own rooms')
    const start = query.from === undefined ? 0 : Number(/^m([0-9]{1,6})$/.exec(query.from)?.[1] ?? Number.NaN)
    if (Number.isNaN(start)) throw invalidParam('from is not a token of this server')
    const shared: RoomId[] = []
    for (const { roomId, membership } of await engine.rooms.memberships(requester.userId)) {
      if (membership !== 'join') continue
      const snapshot = await engine.rooms.snapshot(roomId)
      if (snapshot?.joinedMembers.includes(query.user_id) === true) shared.push(roomId)
    }
    const end = start + MAX_MUTUAL_PAGE
    return {
      joined: shared.slice(start, end),
      count: shared.length,
      ...(end < shared.length ? { next_batch: `m${end}` } : {}),
    }
  },
})
