/**
 * Whose device lists a user's clients must fetch again.
 * spec: client-server-api/modules/end_to_end_encryption.md "Extensions to /sync"
 */
import { memberKey, serverOf, splitStateKey } from '@plexus/core'
import type { EventId, ServerName, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { MembershipRecord, RoomSnapshot } from '../rooms/types.ts'
import type { UsersContext } from './deps.ts'
import type { ChangeLog, LocalLists } from './device-lists-local.ts'
import { publicDevices } from './local-identity.ts'
import { sharingServers, snapshotsOf } from './sharing.ts'
import type { Accounts, DeviceLists } from './types.ts'

export function createDeviceLists(
  context: UsersContext,
  parts: { readonly changes: ChangeLog; readonly lists: LocalLists; readonly accounts: Accounts },
): DeviceLists {
  const { store, committer, rooms, signer, outbox } = context
  const { changes, lists, accounts } = parts

  const isJoin = async (eventId: EventId | undefined): Promise<boolean> => {
    const event = eventId === undefined ? undefined : await rooms().event(eventId)
    return event?.pdu.content['membership'] === 'join'
  }

  /** Users who came to a room, or left it, at a position in (from, to]. */
  const moves = async (
    snapshot: RoomSnapshot,
    from: StreamPosition,
    to: StreamPosition,
  ): Promise<{ came: readonly UserId[]; went: readonly UserId[] }> => {
    const came: UserId[] = []
    const went: UserId[] = []
    for (const delta of await rooms().stateDeltas(snapshot.roomId, from, to)) {
      for (const { key, before, after } of delta.changes) {
        const [type, userId] = splitStateKey(key)
        if (type !== 'm.room.member') continue
        const [was, is] = [await isJoin(before), await isJoin(after)]
        if (!was && is) came.push(userId as UserId)
        if (was && !is) went.push(userId as UserId)
      }
    }
    return { came, went }
  }

  /** The joined members of a room that the user came to or left. */
  const membersOf = async (record: MembershipRecord): Promise<readonly UserId[]> => {
    const snapshot = await rooms().snapshot(record.roomId)
    return snapshot?.joinedMembers ?? []
  }

  const announce = async (userId: UserId, servers: readonly ServerName[]): Promise<void> => {
    if (servers.length === 0) return
    const change = await lists.announce(userId, servers, await publicDevices(store, userId))
    await committer.submit({ writes: (position) => change.writes(position) })
    change.sent()
  }

  return {
    async changes(userId, from, to) {
      const memberships = await rooms().memberships(userId)
      const joined = await snapshotsOf(rooms(), memberships)
      const isMember = (other: UserId): boolean =>
        joined.some(
          ({ state, joinedMembers }) => state.has(memberKey(other)) && joinedMembers.includes(other),
        )
      const candidates = new Set(await changes.between(userId, from, to))
      const gone = new Set<UserId>()
      for (const snapshot of joined) {
        if (snapshot.lastPosition <= from) continue
        const { came, went } = await moves(snapshot, from, to)
        // Who came themselves sees all members for the first time.
        for (const other of came.includes(userId) ? snapshot.joinedMembers : came) candidates.add(other)
        for (const other of went) gone.add(other)
      }
      for (const record of memberships) {
        if (record.position <= from || record.position > to) continue
        const [was, is] = [record.previous === 'join', record.membership === 'join']
        if (was && !is) for (const other of await membersOf(record)) gone.add(other)
        // A join through another server changes no state that was known here before.
        if (is && !was) for (const other of await membersOf(record)) candidates.add(other)
      }
      return {
        changed: [...candidates].filter((other) => other === userId || isMember(other)).sort(),
        left: [...gone].filter((other) => other !== userId && !isMember(other)).sort(),
      }
    },

    async joined(snapshot, userId) {
      if (serverOf(userId) === signer.name) {
        const others = snapshot.joinedServers.filter((server) => server !== signer.name)
        // Most rooms are made alone, and to look through all others of the user costs more than making one.
        if (others.length === 0) return
        const before = await sharingServers(rooms(), userId, snapshot)
        await announce(
          userId,
          others.filter((server) => !before.includes(server)),
        )
        return
      }
      const server = serverOf(userId)
      for (const local of await accounts.list()) {
        if (!snapshot.joinedMembers.includes(local)) continue
        const others = snapshot.joinedMembers.some(
          (member) => member !== userId && serverOf(member) === server,
        )
        const before = others ? [server] : await sharingServers(rooms(), local, snapshot)
        if (!before.includes(server)) await announce(local, [server])
      }
      outbox.kick([server])
    },
  }
}
