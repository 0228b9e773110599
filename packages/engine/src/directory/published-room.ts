/** A room as the directory shows it. spec: data/api/client-server/definitions/public_rooms_chunk.yaml */
import { isJsonObject, ownValue, stateKey } from '@plexus/core'
import type { JsonObject, JsonValue, RoomId, UserId } from '@plexus/core'
import type { Rooms } from '../rooms/types.ts'
import type { PublishedRoom, RoomDescription } from './types.ts'

const SHOWN: readonly string[] = [
  'm.room.name',
  'm.room.topic',
  'm.room.avatar',
  'm.room.canonical_alias',
  'm.room.join_rules',
  'm.room.history_visibility',
  'm.room.guest_access',
]
const SHOWN_KEYS = SHOWN.map((type) => stateKey(type, ''))

/** `undefined` for a room in which this node has no member. */
export async function publishedRoom(rooms: Rooms, roomId: RoomId): Promise<PublishedRoom | undefined> {
  const snapshot = await rooms.snapshot(roomId)
  if (snapshot === undefined || rooms.localMembers(snapshot).length === 0) return undefined
  const records = await rooms.stateEvents(snapshot.state, SHOWN_KEYS)
  const contents = new Map(records.map(({ pdu }) => [pdu.type, pdu.content]))
  const text = (type: string, key: string): string | undefined => textIn(contents.get(type), key)
  return withoutUndefined({
    roomId,
    name: text('m.room.name', 'name'),
    topic: text('m.room.topic', 'topic'),
    avatarUrl: text('m.room.avatar', 'url'),
    canonicalAlias: text('m.room.canonical_alias', 'alias'),
    joinRule: text('m.room.join_rules', 'join_rule'),
    roomType: textIn(snapshot.create.content, 'type'),
    joinedMembers: snapshot.joinedMembers.length,
    worldReadable: text('m.room.history_visibility', 'history_visibility') === 'world_readable',
    guestCanJoin: text('m.room.guest_access', 'guest_access') === 'can_join',
  })
}

function textIn(content: JsonObject | undefined, key: string): string | undefined {
  const value = content === undefined ? undefined : ownValue(content, key)
  return typeof value === 'string' && value !== '' ? value : undefined
}

type Loose = { readonly [K in keyof PublishedRoom]: PublishedRoom[K] | undefined }

function withoutUndefined(room: Loose): PublishedRoom {
  return Object.fromEntries(Object.entries(room).filter(([, value]) => value !== undefined)) as PublishedRoom
}

/** Join rules under which anybody may ask to come in. spec: data/api/client-server/space_hierarchy.yaml */
const OPEN_RULES: ReadonlySet<string> = new Set(['public', 'knock', 'knock_restricted'])
/** Rooms of a restricted join rule that are told. */
const MAX_ALLOWED_ROOMS = 50

export async function describeRoom(
  rooms: Rooms,
  roomId: RoomId,
  userId: UserId | undefined,
): Promise<RoomDescription | undefined> {
  const [room, snapshot] = await Promise.all([publishedRoom(rooms, roomId), rooms.snapshot(roomId)])
  if (room === undefined || snapshot === undefined) return undefined
  const keys = [stateKey('m.room.encryption', ''), stateKey('m.room.join_rules', '')]
  const records = await rooms.stateEvents(snapshot.state, keys)
  const contentOf = (type: string): JsonObject | undefined =>
    records.find(({ pdu }) => pdu.type === type)?.pdu.content
  const allowedRooms = allowedIn(contentOf('m.room.join_rules'))
  if (!(await mayKnow(rooms, room, allowedRooms, userId))) return undefined
  const encryption = textIn(contentOf('m.room.encryption'), 'algorithm')
  return {
    ...room,
    version: snapshot.version.id,
    allowedRooms,
    ...(encryption === undefined ? {} : { encryption }),
  }
}

async function mayKnow(
  rooms: Rooms,
  room: PublishedRoom,
  allowedRooms: readonly string[],
  userId: UserId | undefined,
): Promise<boolean> {
  if (room.worldReadable || OPEN_RULES.has(room.joinRule ?? 'invite')) return true
  if (userId === undefined) return false
  const membership = (await rooms.membership(userId, room.roomId))?.membership
  if (membership === 'join' || membership === 'invite' || membership === 'knock') return true
  if (room.joinRule !== 'restricted') return false
  const own = await rooms.memberships(userId)
  return own.some((row) => row.membership === 'join' && allowedRooms.includes(row.roomId))
}

/** spec: client-server-api/_index.md "Restricted rooms" */
function allowedIn(joinRules: JsonObject | undefined): readonly string[] {
  const allow: JsonValue | undefined = joinRules === undefined ? undefined : ownValue(joinRules, 'allow')
  if (!Array.isArray(allow)) return []
  return allow.slice(0, MAX_ALLOWED_ROOMS).flatMap((condition: JsonValue) => {
    if (!isJsonObject(condition) || ownValue(condition, 'type') !== 'm.room_membership') return []
    const roomId = ownValue(condition, 'room_id')
    return typeof roomId === 'string' ? [roomId] : []
  })
}
