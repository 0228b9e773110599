/** A room as the directory shows it. spec: data/api/client-server/definitions/public_rooms_chunk.yaml */
import { ownValue, stateKey } from '@plexus/core'
import type { JsonObject, RoomId } from '@plexus/core'
import { allowedRooms } from '../rooms/restricted.ts'
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

/** Rooms of a restricted join rule that are told. */
export const MAX_ALLOWED_ROOMS = 50

/** `undefined` for a room in which this node has no member. */
export async function describeRoom(rooms: Rooms, roomId: RoomId): Promise<RoomDescription | undefined> {
  const [room, snapshot] = await Promise.all([publishedRoom(rooms, roomId), rooms.snapshot(roomId)])
  if (room === undefined || snapshot === undefined) return undefined
  const keys = [stateKey('m.room.encryption', ''), stateKey('m.room.join_rules', '')]
  const records = await rooms.stateEvents(snapshot.state, keys)
  const contentOf = (type: string): JsonObject | undefined =>
    records.find(({ pdu }) => pdu.type === type)?.pdu.content
  const encryption = textIn(contentOf('m.room.encryption'), 'algorithm')
  return {
    ...room,
    version: snapshot.version.id,
    allowedRooms: allowedRooms(contentOf('m.room.join_rules')).slice(0, MAX_ALLOWED_ROOMS),
    ...(encryption === undefined ? {} : { encryption }),
  }
}
