/**
 * Deciding again what was decided while the room's state lacked members, or was not confirmed, now on the one that counts.
 *
 * Invariants:
 * 1. The events are decided as if they came now for the first time, each after those that it follows, on a copy of the
 *    room that begins with the own join. Until all are, the room's own copy goes on as it is.
 * 2. Each batch is one commit; the last one puts the new copy in place. After a crash it begins anew, with equal results.
 */
import type { EventId, RoomId, UserId } from '@plexus/core'
import { prevEventIds, serverOf } from '@plexus/core'
import type { Change } from '../kernel/committer.ts'
import { combineChanges } from '../kernel/committer.ts'
import type { Write } from '../ports.ts'
import { membershipWrites, serverChanges } from './accept-event.ts'
import { hasPlace, isProvisional } from './case.ts'
import { memberOf, membershipOf, stateBefore, stateChanges, toRecord, type RoomCopy } from './copy.ts'
import { deltas, partialRooms, provisional, rooms, unredacted, type Unconfirmed } from './records.ts'
import { finisher } from './decided-again.ts'
import type { EventInput, Room, RoomDeps, Turn } from './room.ts'
import { enteredState, remark } from './second-look.ts'
import type { StateGroup } from './state-groups.ts'
import type { EventRecord } from './types.ts'

/** Events decided again in one turn of the room. */
export const REPLAYED_TOGETHER = 100

export type ReplayDeps = Pick<
  RoomDeps,
  'store' | 'committer' | 'events' | 'groups' | 'destinations' | 'ownName'
>

/** What to decide again by. */
type Basis = {
  /** The own join, and the state before it. */
  readonly join: EventId
  readonly whole: StateGroup
  /** Set where that is to be confirmed yet: all may be decided once more. */
  readonly doubt: Unconfirmed | undefined
}

type Replay = Basis & {
  readonly deps: ReplayDeps
  readonly room: Room
  copy: RoomCopy
  /** The position of the last event that was decided again. */
  last: number
  readonly done: Set<EventId>
  /** What was to be decided again when this began: an earlier attempt may have done so, and its records do not tell. */
  readonly listed: ReadonlySet<EventId>
  /** That which was taken with the room, if any: the state after it is the one before the own join. */
  readonly invites: ReadonlySet<EventId>
}

/** @throws when the state does not allow the join, or the room was entered by another one meanwhile. */
export async function replay(deps: ReplayDeps, room: Room, basis: Basis): Promise<void> {
  let state: Replay | undefined
  for (let isOver = false; !isOver;) {
    const { done, ended } = await room.run(async (turn) => {
      const { copy } = turn
      if (copy?.partial?.join !== basis.join) throw new Error('the room was entered anew meanwhile')
      if (state === undefined && (await isAsEntered(deps, copy, basis.whole)))
        return { done: turn.submit(await confirm(deps, room, turn, copy)), ended: true }
      state ??= await begin(deps, room, copy, basis)
      return replayBatch(state, turn, copy)
    })
    await done
    isOver = ended
  }
}

/** True where the room was entered with this state, so that all that was decided stands. */
async function isAsEntered(deps: ReplayDeps, { partial }: RoomCopy, { state }: StateGroup): Promise<boolean> {
  if (partial?.unconfirmed === undefined) return false
  const [join] = await deps.events.working([partial.join])
  // One that is provisional no longer was decided again, by an attempt that did not end.
  if (join === undefined || !isProvisional(join)) return false
  return stateChanges(await enteredState(deps, join), state).length === 0
}

async function confirm(deps: ReplayDeps, room: Room, turn: Turn, copy: RoomCopy): Promise<Change> {
  const { roomId } = room
  const forgotten = await forgetProvisional(deps, roomId)
  const publish = remark(room, turn, copy, undefined)
  return { writes: () => [partialRooms.delete([roomId]), ...forgotten], publish }
}

async function begin(
  deps: ReplayDeps,
  room: Room,
  copy: RoomCopy,
  { join, whole, doubt }: Basis,
): Promise<Replay> {
  const joined = await joinedIn(deps, whole)
  const partial = copy.partial &&
    doubt && { join, resident: copy.partial.resident, servers: [], unconfirmed: doubt }
  const start: RoomCopy = { ...copy, heads: [], current: whole, joined, holes: [], partial }
  const rows = await provisional.list(deps.store, [room.roomId])
  const listed = new Set(rows.map(([, id]) => id))
  const invites = await invitesBefore(deps, copy, join)
  return { deps, room, whole, doubt, join, copy: start, last: 0, done: new Set(), listed, invites }
}

async function joinedIn({ events }: ReplayDeps, { state }: StateGroup): Promise<ReadonlySet<UserId>> {
  const members = [...state].filter(([key]) => memberOf(key) !== undefined)
  const records = await events.working(members.map(([, id]) => id))
  const joined = new Set<UserId>()
  members.forEach(([key], index) => {
    const user = memberOf(key)
    if (user !== undefined && membershipOf(records[index]?.pdu) === 'join') joined.add(user)
  })
  return joined
}

async function replayBatch(
  state: Replay,
  turn: Turn,
  present: RoomCopy,
): Promise<{ readonly done: Promise<unknown>; readonly ended: boolean }> {
  const { deps, room, whole } = state
  const doubt = state.doubt === undefined ? {} : { doubt: state.doubt }
  const isFirst = state.done.size === 0
  const { partial: mark } = present
  // All that was decided before this turn has its row after this.
  const upTo = await deps.committer.submit({ writes: () => [] })
  const rows = await provisional.range(deps.store, [room.roomId], state.last + 1, upTo, {
    limit: REPLAYED_TOGETHER,
  })
  const changes: Change[] = []
  for (const [[, position], id] of rows) {
    changes.push(...(await replayFrom(state, turn, id)))
    state.last = position
  }
  const ended = rows.length < REPLAYED_TOGETHER
  if (ended) changes.push(await end(state, turn, present))
  // A replay that begins anew is of the same state.
  else if (isFirst && mark !== undefined)
    changes.push({ writes: () => [partialRooms.put([room.roomId], { ...mark, whole: whole.id, ...doubt })] })
  return { done: turn.submit(combineChanges(changes)), ended }
}

/** The event, after those that it follows which came later. */
async function replayFrom(state: Replay, turn: Turn, first: EventId): Promise<readonly Change[]> {
  const { deps, done, listed } = state
  const changes: Change[] = []
  const stack = [first]
  for (let id = stack.at(-1); id !== undefined; id = stack.at(-1)) {
    const [record] = await deps.events.working([id])
    const previous = record === undefined || done.has(id) ? [] : prevEventIds(record.pdu)
    const before = await deps.events.working(previous)
    const open = before.flatMap((each) =>
      each !== undefined &&
      hasPlace(each, state.copy) &&
      (isProvisional(each) || listed.has(each.id)) &&
      !done.has(each.id) &&
      !stack.includes(each.id)
        ? [each.id]
        : [],
    )
    if (open.length > 0) {
      stack.push(...open)
      continue
    }
    stack.pop()
    if (record === undefined || done.has(id)) continue
    done.add(id)
    const change = await replayOne(state, turn, record)
    if (change !== undefined) changes.push(change)
  }
  return changes
}

async function replayOne(state: Replay, turn: Turn, record: EventRecord): Promise<Change | undefined> {
  const { id, pdu, hashMismatch, sentBy } = record
  if (state.invites.has(id)) return placedAgain(state, record)
  const isJoin = id === state.join
  const event: EventInput = {
    id,
    pdu,
    contentHashOk: hashMismatch !== true,
    again: record,
    ...(sentBy === undefined ? {} : { sentBy }),
    ...(isJoin ? { claim: claimOf(state.whole) } : {}),
  }
  const first = await turn.decideOn(state.copy, event)
  if (isJoin && first.outcome.kind !== 'accept') {
    const why = 'why' in first.outcome ? first.outcome.why : undefined
    throw new Error(`the state does not allow the own join: ${why ?? first.outcome.kind}`)
  }
  if (first.outcome.kind !== 'missing') {
    state.copy = first.next ?? state.copy
    return first.outcome.change
  }
  // What it follows was never here: what a member claimed in its place stands.
  const { group, writes } = await stateBeforeOf(state.deps, record)
  const { outcome, next } = await turn.decideOn(state.copy, { ...event, claim: claimOf(group) })
  state.copy = next ?? state.copy
  const { change } = outcome
  return change === undefined ? undefined : combineChanges([{ writes: () => writes }, change])
}

async function invitesBefore(
  { events }: ReplayDeps,
  copy: RoomCopy,
  joinId: EventId,
): Promise<ReadonlySet<EventId>> {
  const [join] = await events.working([joinId])
  const previous = join === undefined ? [] : await events.working(prevEventIds(join.pdu))
  const placed = previous.filter((each) => hasPlace(each, copy))
  return new Set(placed.flatMap((each) => (each === undefined ? [] : each.id)))
}

function placedAgain({ deps, whole }: Replay, record: EventRecord): Change {
  const { finish, adopt } = finisher(deps.events)
  const placed = { ...record, stateGroup: whole.id }
  // What follows it may be decided before the commit.
  deps.events.stage(placed)
  return { writes: () => [finish(placed)], publish: adopt }
}

function claimOf(state: StateGroup): NonNullable<EventInput['claim']> {
  return { state, history: new Set() }
}

async function stateBeforeOf(
  { groups }: ReplayDeps,
  record: EventRecord,
): Promise<{ readonly group: StateGroup; readonly writes: readonly Write[] }> {
  if (record.stateGroup === undefined) throw new Error('a decided event has no state')
  const after = await groups.load(record.stateGroup)
  return groups.create(`before ${record.id}`, stateBefore(record, after.state), after)
}

/** The writes that end what is kept to decide again. */
export async function forgetProvisional(
  { store }: Pick<ReplayDeps, 'store'>,
  roomId: RoomId,
): Promise<readonly Write[]> {
  const decided = await provisional.list(store, [roomId])
  const redacted = await unredacted.list(store, [roomId])
  return [
    ...decided.map(([key]) => provisional.delete(key)),
    ...redacted.map(([key]) => unredacted.delete(key)),
  ]
}

/** Puts the new copy in the place of the room's, and corrects all that follows who is in the room. */
async function end({ deps, room, copy }: Replay, turn: Turn, present: RoomCopy): Promise<Change> {
  const { roomId } = room
  const { lowestOrder, backward, holes } = present
  const next: RoomCopy = { ...copy, lowestOrder, backward, holes }
  const changes = stateChanges(present.current.state, next.current.state)
  const records = await ownMemberships(deps, changes)
  const servers = serverChanges(deps, present, next)
  const { partial } = next
  const marked =
    partial === undefined
      ? [partialRooms.delete([roomId]), ...(await forgetProvisional(deps, roomId))]
      : [partialRooms.put([roomId], partial)]
  const publish = turn.replace(next)
  return {
    writes: (position) => [
      rooms.put([roomId], toRecord(next, position)),
      ...marked,
      ...(changes.length === 0 ? [] : [deltas.put([roomId, position], changes)]),
      ...membershipWrites(deps, roomId, position, changes, (id) => records.get(id)),
      ...deps.destinations.changed(roomId, position, servers),
    ],
    publish,
  }
}

/** The events of the changes that are about users of this node. */
async function ownMemberships(
  { events, ownName }: ReplayDeps,
  changes: ReturnType<typeof stateChanges>,
): Promise<ReadonlyMap<EventId, EventRecord>> {
  const ids = changes.flatMap(({ key, before, after }) => {
    const user = memberOf(key)
    return user === undefined || serverOf(user) !== ownName
      ? []
      : [before, after].filter((id) => id !== undefined)
  })
  const records = (await events.working(ids)).filter((record) => record !== undefined)
  return new Map(records.map((record) => [record.id, record]))
}
