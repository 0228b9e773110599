/** Rooms as those see them who are not in them, in the JSON of both APIs. */
import type { JsonObject } from '@plexus/core'
import type { PublicRoomsPage, PublishedRoom, RoomDescription, SpaceChild } from './types.ts'

/** spec: data/api/client-server/definitions/public_rooms_chunk.yaml */
function roomChunk(room: PublishedRoom): JsonObject {
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

/** spec: data/api/client-server/definitions/room_summary.yaml */
export function roomSummary(room: RoomDescription): JsonObject {
  return {
    ...roomChunk(room),
    ...(room.version === undefined ? {} : { room_version: room.version }),
    // The only algorithm that the definition knows; any other is nothing that a client could use.
    ...(room.encryption === 'm.megolm.v1.aes-sha2' ? { encryption: room.encryption } : {}),
    ...(room.allowedRooms.length === 0 ? {} : { allowed_room_ids: room.allowedRooms }),
  }
}

/** Stripped state with the time of the event. spec: data/api/server-server/space_hierarchy.yaml */
export function spaceChildState({ roomId, event }: SpaceChild): JsonObject {
  return {
    type: 'm.space.child',
    state_key: roomId,
    sender: event.sender,
    content: event.content,
    origin_server_ts: event.sentAt,
  }
}

/** spec: data/api/client-server/definitions/public_rooms_response.yaml */
export function publicRoomsJson({ rooms, total, next, previous }: PublicRoomsPage): JsonObject {
  return {
    chunk: rooms.map(roomChunk),
    ...(total === undefined ? {} : { total_room_count_estimate: total }),
    ...(next === undefined ? {} : { next_batch: next }),
    ...(previous === undefined ? {} : { prev_batch: previous }),
  }
}
