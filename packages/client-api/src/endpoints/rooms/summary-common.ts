/** Rooms as those see them who are not in them. */
import type { JsonObject } from '@plexus/core'
import type { PublishedRoom, RoomDescription } from '@plexus/engine'

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

/** spec: data/api/client-server/definitions/room_summary.yaml */
export function summaryOf(room: RoomDescription): JsonObject {
  return {
    ...chunkOf(room),
    room_version: room.version,
    // The only algorithm that the definition knows; any other is nothing that a client could use.
    ...(room.encryption === 'm.megolm.v1.aes-sha2' ? { encryption: room.encryption } : {}),
    ...(room.allowedRooms.length === 0 ? {} : { allowed_room_ids: room.allowedRooms }),
  }
}
