/**
 * Whose device lists a user's clients must fetch again.
 * spec: client-server-api/modules/end_to_end_encryption.md "Extensions to /sync"
 */
import { memberKey, serverOf, splitStateKey } from '@plexus/core'
import type { EventId, ServerName, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { MembershipRecord, RoomSnapshot } from '../rooms/types.ts'
import type { UsersContext } from './deps.ts'
import type { ChangeLog, ListChange, LocalLists } from './device-lists-local.ts'
import { publicDevices } from './local-identity.ts'
import { sharingServers, snapshotsOf } from './sharing.ts'
import { behindOnLists } from './tables.ts'
import type { Accounts, DeviceLists } from './types.ts'

export function createDeviceLists(
  context: UsersContext,
  parts: { readonly changes: ChangeLog; readonly lists: LocalLists; readonly accounts: Accounts },
): DeviceLists {
  const { store, committer, rooms, signer, outbox } = context
  const { changes, lists, accounts } = parts

  const joinsAmong = async (ids: readonly EventId[]): Promise<ReadonlySet<EventId>> => {
    const records = (await rooms().events(ids)).filter((record) => record !== undefined)
    return new Set(records.flatMap(({ id, pdu }) => (pdu.content['membership'] === 'join' ? [id] : [])))
  }

  /** Users who came to a room, or left it, at a position in (from, to]. */
  const moves = async (
    snapshot: RoomSnapshot,
    from: StreamPosition,
    to: StreamPosition,
  ): Promise<{ came: readonly UserId[]; went: readonly UserId[] }> => {
    const came: UserId[] = []
    const went: UserId[] = []
    const deltas = await rooms().stateDeltas(snapshot.roomId, from, to)
    const changed = deltas.flatMap(({ changes: each }) =>
      each.filter(({ key }) => splitStateKey(key)[0] === 'm.room.member'),
    )
    const ids = [...new Set(changed.flatMap(({ before, after }) => [before, after]))]
    const joins = await joinsAmong(ids.filter((id) => id !== undefined))
    for (const { key, before, after } of changed) {
      const userId = splitStateKey(key)[1] as UserId
      const [was, is] = [before !== undefined && joins.has(before), after !== undefined && joins.has(after)]
      if (!was && is) came.push(userId)
      if (was && !is) went.push(userId)
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

  const catchUp = async (server: ServerName): Promise<void> => {
    const all: ListChange[] = []
    for (const local of await accounts.list())
      if ((await sharingServers(rooms(), local)).includes(server))
        all.push(await lists.missed(local, [server]))
    await committer.submit({
      writes: (position) => [
        behindOnLists.delete([server]),
        ...all.flatMap(({ writes }) => writes(position)),
      ],
    })
    outbox.kick([server])
  }

  return {
    async catchUp() {
      for (const [[server]] of await behindOnLists.list(store, []))
        if (!outbox.isFull(server as ServerName)) await catchUp(server as ServerName)
    },

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

    async joined(snapshot, users) {
      const isOther = (server: ServerName): boolean => server !== signer.name
      const came = new Set(users)
      const servers = [...new Set(users.map(serverOf))].filter(isOther)
      const members = new Set(snapshot.joinedMembers)
      const before = new Set([...members].filter((member) => !came.has(member)).map(serverOf))
      const fresh = servers.filter((server) => !before.has(server))
      // Who came alone concerns no other local user.
      for (const local of fresh.length === 0 ? users : await accounts.list()) {
        if (serverOf(local) !== signer.name || !members.has(local)) continue
        const others = came.has(local) ? snapshot.joinedServers.filter(isOther) : fresh
        // Most rooms are made alone, and to look through all others of the user costs more than making one.
        if (others.length === 0) continue
        const known = new Set(await sharingServers(rooms(), local, snapshot))
        await announce(
          local,
          others.filter((server) => !known.has(server)),
        )
      }
      outbox.kick(servers)
    },
  }
}
