/** Which rooms an answer to `/sync` speaks of, and in which section. */
import { memberKey } from '@plexus/core'
import type { UserId } from '@plexus/core'
import type { Committer, StreamPosition } from '../kernel/committer.ts'
import type { MembershipRecord, RoomSnapshot, Rooms } from '../rooms/types.ts'
import type { SyncFilter } from './filter.ts'
import { allowsRoom } from './filter.ts'
import { membershipIn } from './visibility.ts'

/** What is new in (from, to]. */
export type Span = { readonly from: StreamPosition; readonly to: StreamPosition }

export type JoinedPart = {
  readonly kind: 'join'
  readonly row: MembershipRecord
  readonly snapshot: RoomSnapshot
  /** The user was not joined at the start of the span: the client knows nothing of the room. */
  readonly fresh: boolean
}

export type RoomPart =
  | JoinedPart
  | { readonly kind: 'invite' | 'knock' | 'leave'; readonly row: MembershipRecord }

/** The memberships and a committed position that is at least that of each of them. */
export async function membershipsNow(
  deps: { readonly rooms: Rooms; readonly committer: Committer },
  userId: UserId,
): Promise<{ rows: readonly MembershipRecord[]; to: StreamPosition }> {
  const before = deps.committer.committed
  const rows = await deps.rooms.memberships(userId)
  const to = Math.max(before, ...rows.map(({ position }) => position))
  // The store may show a commit a moment before the committer has heard of it; snapshots follow the committer.
  await reached(deps.committer, to)
  return { rows, to }
}

function reached(committer: Committer, position: StreamPosition): Promise<void> {
  if (committer.committed >= position) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      stopCommits()
      stopFailures()
      resolve()
    }
    const stopCommits = committer.onCommit((committed) => {
      if (committed >= position) done()
    })
    const stopFailures = committer.onFailure(done)
  })
}

export async function partOf(
  rooms: Rooms,
  userId: UserId,
  row: MembershipRecord,
  span: Span,
  filter: SyncFilter,
): Promise<RoomPart | undefined> {
  if (!allowsRoom(filter, row.roomId)) return undefined
  const changed = row.position > span.from
  if (row.membership === 'join') {
    const snapshot = await rooms.snapshot(row.roomId)
    if (snapshot === undefined) return undefined
    return { kind: 'join', row, snapshot, fresh: changed && !(await wasJoined(rooms, userId, row, span)) }
  }
  if (row.membership === 'invite' || row.membership === 'knock')
    return changed ? { kind: row.membership, row } : undefined
  const wanted = span.from === 0 ? filter.includeLeave && row.forgotten !== true : changed
  return wanted ? { kind: 'leave', row } : undefined
}

/** Whether the user was joined at the start of the span; asked only when the membership changed within it. */
async function wasJoined(rooms: Rooms, userId: UserId, row: MembershipRecord, span: Span): Promise<boolean> {
  if (span.from === 0 || row.previous !== 'join') return false
  // The row tells one step back. The first change within the span tells what was before all of them.
  const own = memberKey(userId)
  for (const { changes } of await rooms.stateDeltas(row.roomId, span.from, span.to)) {
    const first = changes.find(({ key }) => key === own)
    if (first === undefined) continue
    if (first.before === undefined) return false
    return membershipIn((await rooms.event(first.before))?.pdu.content) === 'join'
  }
  return true
}
