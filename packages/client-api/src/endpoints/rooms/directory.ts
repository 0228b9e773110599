/**
 * GET, PUT, DELETE /_matrix/client/v3/directory/room/{roomAlias}
 * GET, PUT /_matrix/client/v3/directory/list/room/{roomId}
 * GET /_matrix/client/v3/rooms/{roomId}/aliases
 * GET, POST /_matrix/client/v3/publicRooms
 * https://spec.matrix.org/v1.19/client-server-api/#room-aliases
 */
import type { JsonObject, RoomId } from '@plexus/core'
import type { PublishedRoom } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, forbidden, invalidParam, notFound } from '../../matrix-error.ts'
import { queryInteger, roomAlias, roomId } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { inRoom } from './common.ts'

const ALIAS_PATH = '/_matrix/client/v3/directory/room/{roomAlias}'
const LIST_PATH = '/_matrix/client/v3/directory/list/room/{roomId}'
const atAlias = v.object({ roomAlias })
/** Rooms of one page of the directory. */
export const MAX_PUBLIC_PAGE = 500

export const getAlias: Endpoint = endpoint({
  method: 'GET',
  path: ALIAS_PATH,
  auth: 'none',
  rateLimit: 'lookup',
  pathSchema: atAlias,
  handler: async ({ engine, path, signal }) => {
    const { roomId, servers } = await engine.roomDirectory.resolve(path.roomAlias, signal)
    return { room_id: roomId, servers }
  },
})

export const putAlias: Endpoint = endpoint({
  method: 'PUT',
  path: ALIAS_PATH,
  auth: 'user',
  rateLimit: 'message',
  pathSchema: atAlias,
  bodySchema: v.object({ room_id: roomId }),
  handler: async ({ engine, requester, path, body }) => {
    await requireMember(engine, requester, body.room_id)
    const outcome = await engine.roomDirectory.create(path.roomAlias, body.room_id, requester.userId)
    if (outcome === 'taken') throw new MatrixError(409, 'M_UNKNOWN', 'the room alias is taken')
    return {}
  },
})

export const deleteAlias: Endpoint = endpoint({
  method: 'DELETE',
  path: ALIAS_PATH,
  auth: 'user',
  rateLimit: 'message',
  pathSchema: atAlias,
  handler: async ({ engine, requester, path }) => {
    await engine.roomDirectory.remove(path.roomAlias, requester.userId)
    return {}
  },
})

export const aliasesOfRoom: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/aliases',
  auth: 'user',
  pathSchema: inRoom,
  handler: async ({ engine, requester, path }) => {
    await requireMember(engine, requester, path.roomId)
    return { aliases: await engine.roomDirectory.aliasesOf(path.roomId) }
  },
})

export const getVisibility: Endpoint = endpoint({
  method: 'GET',
  path: LIST_PATH,
  auth: 'none',
  pathSchema: inRoom,
  handler: async ({ engine, path }) => {
    if ((await engine.rooms.snapshot(path.roomId)) === undefined) throw notFound('there is no such room')
    return { visibility: (await engine.roomDirectory.isPublished(path.roomId)) ? 'public' : 'private' }
  },
})

export const putVisibility: Endpoint = endpoint({
  method: 'PUT',
  path: LIST_PATH,
  auth: 'user',
  rateLimit: 'message',
  pathSchema: inRoom,
  bodySchema: v.object({ visibility: v.optional(v.picklist(['public', 'private']), 'public') }),
  handler: async ({ engine, requester, path, body }) => {
    if ((await engine.rooms.snapshot(path.roomId)) === undefined) throw notFound('there is no such room')
    await requireMember(engine, requester, path.roomId)
    await engine.roomDirectory.setPublished(path.roomId, body.visibility === 'public')
    return {}
  },
})

export const publicRooms: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/publicRooms',
  auth: 'none',
  querySchema: v.object({
    limit: v.optional(queryInteger(0, MAX_PUBLIC_PAGE)),
    since: v.optional(v.string()),
    server: v.optional(v.string()),
  }),
  handler: ({ engine, query }) => listRooms(engine, query, {}),
})

export const searchPublicRooms: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/publicRooms',
  auth: 'user',
  querySchema: v.object({ server: v.optional(v.string()) }),
  bodySchema: v.object({
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
    since: v.optional(v.string()),
    filter: v.optional(
      v.object({
        generic_search_term: v.optional(v.nullable(v.string())),
        room_types: v.optional(v.nullable(v.array(v.nullable(v.string())))),
      }),
      {},
    ),
    include_all_networks: v.optional(v.boolean()),
    third_party_instance_id: v.optional(v.nullable(v.string())),
  }),
  handler: ({ engine, query, body }) => {
    const { generic_search_term: term, room_types: types } = body.filter
    return listRooms(
      engine,
      { server: query.server, since: body.since, limit: body.limit },
      { ...(term ? { term } : {}), ...(types ? { types } : {}) },
    )
  },
})

type Query = {
  readonly server?: string | undefined
  readonly since?: string | undefined
  readonly limit?: number | undefined
}

async function listRooms(
  engine: ApiEngine,
  { server, since, limit = MAX_PUBLIC_PAGE }: Query,
  filter: { readonly term?: string; readonly types?: readonly (string | null)[] },
): Promise<JsonObject> {
  if (server !== undefined && server !== engine.serverName) {
    throw new MatrixError(400, 'M_UNKNOWN', 'this node does not ask other servers for their rooms')
  }
  const start = since === undefined ? 0 : Number(/^p([0-9]{1,6})$/.exec(since)?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) throw invalidParam('since is not a token of this server')
  const term = filter.term?.toLowerCase()
  const rooms = (await engine.roomDirectory.published()).filter((room) => {
    if (filter.types !== undefined && !filter.types.includes(room.roomType ?? null)) return false
    if (term === undefined) return true
    return [room.name, room.topic, room.canonicalAlias].some((text) => text?.toLowerCase().includes(term))
  })
  const end = start + Math.min(limit, MAX_PUBLIC_PAGE)
  return {
    chunk: rooms.slice(start, end).map((room) => chunkOf(room)),
    total_room_count_estimate: rooms.length,
    ...(end < rooms.length ? { next_batch: `p${end}` } : {}),
    ...(start > 0 ? { prev_batch: `p${Math.max(0, start - limit)}` } : {}),
  }
}

/** spec: data/api/client-server/definitions/public_rooms_chunk.yaml */
export function chunkOf(room: PublishedRoom): JsonObject {
  return {
    room_id: room.roomId,
    num_joined_members: room.joinedMembers,
    world_readable: room.worldReadable,
    guest_can_join: room.guestCanJoin,
    ...(room.name === undefined ? {} : { name: room.name }),
    ...(room.topic === undefined ? {} : { topic: room.topic }),
    ...(room.avatarUrl === undefined ? {} : { avatar_url: room.avatarUrl }),
    ...(room.canonicalAlias === undefined ? {} : { canonical_alias: room.canonicalAlias }),
    ...(room.joinRule === undefined ? {} : { join_rule: room.joinRule }),
    ...(room.roomType === undefined ? {} : { room_type: room.roomType }),
  }
}

async function requireMember(engine: ApiEngine, { userId }: Requester, roomId: RoomId): Promise<void> {
  const row = await engine.rooms.membership(userId, roomId)
  if (row?.membership !== 'join') throw forbidden('you are not a member of this room')
}
