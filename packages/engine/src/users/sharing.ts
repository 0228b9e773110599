/** Who shares a room with whom. */
import { memberKey, serverOf } from '@plexus/core'
import type { ServerName, UserId } from '@plexus/core'
import type { MembershipRecord, RoomSnapshot, Rooms } from '../rooms/types.ts'

/** The rooms that a local user is joined to, as of the last commit. */
export async function joinedRooms(rooms: Rooms, userId: UserId): Promise<readonly RoomSnapshot[]> {
  return snapshotsOf(rooms, await rooms.memberships(userId))
}

/** The rooms of those memberships that are joined. */
export async function snapshotsOf(
  rooms: Rooms,
  memberships: readonly MembershipRecord[],
): Promise<readonly RoomSnapshot[]> {
  const joined = memberships.filter(({ membership }) => membership === 'join')
  const snapshots = await Promise.all(joined.map(({ roomId }) => rooms.snapshot(roomId)))
  return snapshots.flatMap((snapshot) => snapshot ?? [])
}

/** The other servers that share a room with a local user, sorted. */
export async function sharingServers(
  rooms: Rooms,
  userId: UserId,
  except?: RoomSnapshot,
): Promise<readonly ServerName[]> {
  const own = serverOf(userId)
  const servers = new Set<ServerName>()
  for (const snapshot of await joinedRooms(rooms, userId)) {
    if (snapshot.roomId === except?.roomId) continue
    for (const server of snapshot.joinedServers) if (server !== own) servers.add(server)
  }
  return [...servers].sort()
}

/**
 * The lowest position since which `other`, of another server, has shared a room with one of `locals` all the time;
 * `undefined` when they share none.
 */
export async function sharedSince(
  rooms: Rooms,
  locals: readonly UserId[],
  other: UserId,
): Promise<number | undefined> {
  const server = serverOf(other)
  let since: number | undefined
  for (const local of locals) {
    for (const { roomId, membership, position } of await rooms.memberships(local)) {
      if (membership !== 'join') continue
      const snapshot = await rooms.snapshot(roomId)
      if (snapshot?.joinedServers.includes(server) !== true || !snapshot.joinedMembers.includes(other))
        continue
      const eventId = snapshot.state.get(memberKey(other))
      const event = eventId === undefined ? undefined : await rooms.event(eventId)
      const both = Math.max(position, event?.position ?? Number.MAX_SAFE_INTEGER)
      since = Math.min(since ?? both, both)
    }
  }
  return since
}
