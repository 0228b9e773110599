/**
 * GET /_matrix/client/v3/rooms/{roomId}/state
 * GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}
 * PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}
 * GET /_matrix/client/v3/rooms/{roomId}/members
 * GET /_matrix/client/v3/rooms/{roomId}/joined_members
 * GET /_matrix/client/v3/joined_rooms
 * https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room
 */
import { isJsonObject, ownValue, parseRoomAlias, stateKey as keyOf } from '@plexus/core'
import type { JsonObject, JsonValue, RoomId } from '@plexus/core'
import { RoomError } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint, jsonResponse } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, forbidden, invalidParam, notFound } from '../../matrix-error.ts'
import { eventContent, roomId, shortText } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { inRoom } from './common.ts'
import { changeMembership } from './member-state.ts'

const atKey = v.object({ roomId, eventType: shortText, stateKey: v.optional(v.string(), '') })
const STATE_PATH = '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}'
const STATE_ALIASES = ['/_matrix/client/v3/rooms/{roomId}/state/{eventType}']

export const allState: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/state',
  auth: 'user',
  pathSchema: inRoom,
  handler: async ({ engine, requester, path }) =>
    jsonResponse(200, await engine.reader.state(requester, path.roomId)),
})

export const oneState: Endpoint = endpoint({
  method: 'GET',
  path: STATE_PATH,
  aliases: STATE_ALIASES,
  auth: 'user',
  pathSchema: atKey,
  querySchema: v.object({ format: v.optional(v.picklist(['content', 'event']), 'content') }),
  handler: async ({ engine, requester, path, query }) => {
    const [event] = await engine.reader.state(requester, path.roomId, [keyOf(path.eventType, path.stateKey)])
    const content = event?.['content']
    if (event === undefined || !isJsonObject(content)) throw notFound('the room has no such state')
    return query.format === 'event' ? event : content
  },
})

export const putState: Endpoint = endpoint({
  method: 'PUT',
  path: STATE_PATH,
  aliases: STATE_ALIASES,
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: atKey,
  bodySchema: eventContent,
  handler: async ({ engine, requester, path, body, signal }) => {
    const { roomId, eventType, stateKey } = path
    if (eventType === 'm.room.member') {
      return { event_id: await changeMembership(engine, requester, roomId, stateKey, body, signal) }
    }
    if (eventType === 'm.room.canonical_alias') await checkAliases(engine, requester, roomId, body, signal)
    const event = { type: eventType, sender: requester.userId, stateKey, content: body }
    return { event_id: await engine.rooms.send(roomId, event) }
  },
})

/** New aliases must be well-formed and lead to the room. */
async function checkAliases(
  engine: ApiEngine,
  requester: Requester,
  roomId: RoomId,
  content: JsonObject,
  signal: AbortSignal,
): Promise<void> {
  const old = new Set(aliasesIn(await currentContent(engine, requester, roomId)))
  for (const text of aliasesIn(content)) {
    if (old.has(text)) continue
    const alias = typeof text === 'string' ? parseRoomAlias(text) : undefined
    if (alias === undefined) throw invalidParam('an alias is not a room alias')
    const target = await engine.roomDirectory.resolve(alias, signal).catch((error: unknown) => {
      if (error instanceof RoomError && error.errcode === 'M_NOT_FOUND') return undefined
      throw error
    })
    if (target?.roomId !== roomId)
      throw new MatrixError(400, 'M_BAD_ALIAS', 'an alias does not lead to this room')
  }
}

async function currentContent(engine: ApiEngine, requester: Requester, roomId: RoomId): Promise<JsonObject> {
  const [event] = await engine.reader.state(requester, roomId, [keyOf('m.room.canonical_alias', '')])
  const content = event?.['content']
  return isJsonObject(content) ? content : {}
}

function aliasesIn(content: JsonObject): readonly JsonValue[] {
  const alias = ownValue(content, 'alias')
  const others = ownValue(content, 'alt_aliases') ?? []
  if (!Array.isArray(others)) throw invalidParam('alt_aliases must be an array')
  return alias === undefined || alias === null || alias === '' ? others : [alias, ...others]
}

const membership = v.picklist(['join', 'invite', 'knock', 'leave', 'ban'])

export const members: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/members',
  auth: 'user',
  pathSchema: inRoom,
  querySchema: v.object({
    at: v.optional(v.string()),
    membership: v.optional(membership),
    not_membership: v.optional(membership),
  }),
  handler: async ({ engine, requester, path, query }) => {
    const events = await engine.reader.members(requester, path.roomId, query.at)
    const { membership: wanted, not_membership: unwanted } = query
    const chosen = (event: JsonObject): boolean => {
      if (wanted === undefined && unwanted === undefined) return true
      const content = event['content']
      const is = isJsonObject(content) ? ownValue(content, 'membership') : undefined
      return (wanted !== undefined && is === wanted) || (unwanted !== undefined && is !== unwanted)
    }
    return { chunk: events.filter(chosen) }
  },
})

export const joinedMembers: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/joined_members',
  auth: 'user',
  pathSchema: inRoom,
  handler: async ({ engine, requester, path }) => {
    const row = await engine.rooms.membership(requester.userId, path.roomId)
    if (row?.membership !== 'join') throw forbidden('you are not a member of this room')
    const events = await engine.reader.members(requester, path.roomId)
    return { joined: Object.fromEntries(events.flatMap((event) => joinedEntry(event))) }
  },
})

function joinedEntry(event: JsonObject): readonly (readonly [string, JsonObject])[] {
  const { content, state_key: userId } = event
  if (!isJsonObject(content) || typeof userId !== 'string' || ownValue(content, 'membership') !== 'join')
    return []
  const name = ownValue(content, 'displayname')
  const avatar = ownValue(content, 'avatar_url')
  return [
    [
      userId,
      {
        ...(typeof name === 'string' ? { display_name: name } : {}),
        ...(typeof avatar === 'string' ? { avatar_url: avatar } : {}),
      },
    ],
  ]
}

export const joinedRooms: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/joined_rooms',
  auth: 'user',
  handler: async ({ engine, requester }) => {
    const rows = await engine.rooms.memberships(requester.userId)
    return {
      joined_rooms: rows.filter(({ membership }) => membership === 'join').map(({ roomId }) => roomId),
    }
  },
})
