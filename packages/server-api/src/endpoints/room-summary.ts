/** Rooms as other servers show them. spec: data/api/client-server/definitions/room_summary.yaml */
import type { PublishedRoom, RoomDescription } from '@plexus/engine'
import * as v from 'valibot'
import { MAX_ALLOWED_ROOMS } from '../bounds.ts'
import { listOf, roomId, type Schema } from '../schema.ts'

/** Longest name, topic or other text of a room, in UTF-16 code units. */
const MAX_TEXT_LENGTH = 65_536

/** What is no text of a sane length is left out, as if it were not told. */
const text = v.optional(v.fallback(v.optional(v.pipe(v.string(), v.maxLength(MAX_TEXT_LENGTH))), undefined))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const chunk = {
  room_id: roomId,
  num_joined_members: count,
  world_readable: v.boolean(),
  guest_can_join: v.boolean(),
  name: text,
  topic: text,
  avatar_url: text,
  canonical_alias: text,
  join_rule: text,
  room_type: text,
}
const chunkObject = v.object(chunk)

function toRoom(told: v.InferOutput<typeof chunkObject>): PublishedRoom {
  const { name, topic, avatar_url: avatarUrl, canonical_alias: canonicalAlias } = told
  const { join_rule: joinRule, room_type: roomType } = told
  return {
    roomId: told.room_id,
    joinedMembers: told.num_joined_members,
    worldReadable: told.world_readable,
    guestCanJoin: told.guest_can_join,
    ...(name === undefined ? {} : { name }),
    ...(topic === undefined ? {} : { topic }),
    ...(avatarUrl === undefined ? {} : { avatarUrl }),
    ...(canonicalAlias === undefined ? {} : { canonicalAlias }),
    ...(joinRule === undefined ? {} : { joinRule }),
    ...(roomType === undefined ? {} : { roomType }),
  }
}

export const publishedRoom: Schema<PublishedRoom> = v.pipe(chunkObject, v.transform(toRoom))

export const roomDescription: Schema<RoomDescription> = v.pipe(
  v.object({
    ...chunk,
    room_version: text,
    encryption: text,
    allowed_room_ids: v.optional(listOf(roomId, MAX_ALLOWED_ROOMS), []),
  }),
  v.transform((told) => {
    const { room_version: version, encryption, allowed_room_ids: allowedRooms } = told
    return {
      ...toRoom(told),
      allowedRooms,
      ...(version === undefined ? {} : { version }),
      ...(encryption === undefined ? {} : { encryption }),
    }
  }),
)
