/** Who shares a room with whom. */
import { memberKey, serverOf } from '@plexus/core'
import type { ServerName, UserId } from '@plexus/core'
import { hasPlace } from '../rooms/case.ts'
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

/** Member events of one stay that are followed back. */
const MAX_FOLLOWED = 50

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
    for (const snapshot of await joinedRooms(rooms, local)) {
      if (!snapshot.joinedServers.includes(server) || !snapshot.joinedMembers.includes(other)) continue
      const both = Math.max(
        await joinedSince(rooms, snapshot, local, true),
        await joinedSince(rooms, snapshot, other, false),
      )
      since = Math.min(since ?? both, both)
    }
  }
  return since
}

/**
 * The position at which a stay began, or a later one; 0 where that of another server's user had begun when this node came. A stay of a
 * local user is no older than this node's: who did not see it leave tells its earlier one, during which nothing was heard for a while.
 */
async function joinedSince(
  rooms: Rooms,
  snapshot: RoomSnapshot,
  member: UserId,
  isLocal: boolean,
): Promise<number> {
  const eventId = snapshot.state.get(memberKey(member))
  let event = eventId === undefined ? undefined : await rooms.event(eventId)
  // A new name is a join too.
  for (let steps = 0; event?.replaced !== undefined && steps < MAX_FOLLOWED; steps += 1) {
    const before = await rooms.event(event.replaced)
    if (before?.pdu.content['membership'] !== 'join' || (isLocal && !hasPlace(before, snapshot))) break
    event = before
  }
  if (event === undefined) return Number.MAX_SAFE_INTEGER
  // What is backfilled was there, at a lower position than that of the history that shows it.
  return !isLocal && (event.order ?? 0) < 0 ? 0 : event.position
}
