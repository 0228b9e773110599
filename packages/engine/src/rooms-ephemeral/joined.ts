import { memberKey, serverOf } from '@plexus/core'
import type { RoomId, UserId } from '@plexus/core'
import type { Rooms, RoomSnapshot } from '../rooms/types.ts'
import { RoomError } from '../rooms/types.ts'

/** The room in which a local user is joined. @throws RoomError M_FORBIDDEN */
export async function requireJoined(rooms: Rooms, userId: UserId, roomId: RoomId): Promise<RoomSnapshot> {
  const [membership, snapshot] = await Promise.all([rooms.membership(userId, roomId), rooms.snapshot(roomId)])
  if (membership?.membership !== 'join' || snapshot === undefined) {
    throw new RoomError('M_FORBIDDEN', 'you are not joined to this room')
  }
  return snapshot
}

/** Whether a user whose membership is not known here may be in the room: its state lacks members, and others of that server are in it. */
export function mayBeMember({ isPartial, joinedServers, state }: RoomSnapshot, userId: UserId): boolean {
  return isPartial === true && !state.has(memberKey(userId)) && joinedServers.includes(serverOf(userId))
}
