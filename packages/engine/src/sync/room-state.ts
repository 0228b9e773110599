/**
 * The `state` or `state_after` of a room in `/sync`.
 *
 * A client that gets `state_after` replaces its state by it and takes nothing from the timeline; with `state` it
 * applies the state events of the timeline on top. Either way it must end with the state at the end of the timeline.
 */
import { memberKey, splitStateKey, stateKeyOf } from '@plexus/core'
import type { EventId, RoomId, StateKey, StateMap, UserId } from '@plexus/core'
import type { EventRecord, Rooms, StateDelta } from '../rooms/types.ts'
import type { EventFilter } from './filter.ts'
import { allows } from './filter.ts'
import type { LazyAnswer } from './lazy-members.ts'
import type { RoomTimeline } from './room-timeline.ts'

export type StateQuery = {
  readonly roomId: RoomId
  /** The state at the end of the timeline. */
  readonly end: StateMap
  readonly timeline: RoomTimeline
  /** The changes since the last sync; absent when the whole state is wanted. */
  readonly deltas: readonly StateDelta[] | undefined
  readonly useStateAfter: boolean
  readonly filter: EventFilter
  readonly lazy: LazyAnswer
  /** Whose member events belong to a whole state besides the senders': the reader, the heroes. */
  readonly alwaysMembers: readonly UserId[]
}

export async function loadState(rooms: Rooms, query: StateQuery): Promise<readonly EventRecord[]> {
  const before = await stateAtStart(rooms, query)
  /** What the client shall hold for a key after the `state` part of the answer. */
  const wanted = (key: StateKey): EventId | undefined =>
    before.has(key) ? before.get(key) : query.end.get(key)
  const chosen = new Set(query.deltas === undefined ? wholeKeys(query) : changedKeys(query.deltas, wanted))
  for (const [key, userId] of membersOfTimeline(query)) {
    if (!isRedundant(query, userId, wanted(key))) chosen.add(key)
  }
  const ids = [...chosen].flatMap((key) => wanted(key) ?? [])
  const records = (await rooms.events(ids)).filter((record) => record !== undefined)
  noteMembers(query, records)
  return records.filter(({ pdu }) => allows(query.filter, pdu))
}

/** For the keys that the timeline changes: what stood there before it. Empty with `state_after`. */
async function stateAtStart(
  rooms: Rooms,
  { timeline, useStateAfter }: StateQuery,
): Promise<ReadonlyMap<StateKey, EventId | undefined>> {
  const first = timeline.seen[0]
  if (useStateAfter || first === undefined) return new Map()
  const keys = timeline.seen.flatMap(({ record }) => stateKeyOf(record.pdu) ?? [])
  if (keys.length === 0) return new Map()
  const start = await rooms.stateBefore(first.record.id)
  return new Map(keys.map((key) => [key, start?.get(key)]))
}

function wholeKeys({ end, filter }: StateQuery): readonly StateKey[] {
  const keys = [...end.keys()]
  return filter.lazyLoadMembers ? keys.filter((key) => splitStateKey(key)[0] !== 'm.room.member') : keys
}

/** Keys whose wanted event differs from what the client held at its last sync. */
function changedKeys(
  deltas: readonly StateDelta[],
  wanted: (key: StateKey) => EventId | undefined,
): readonly StateKey[] {
  const held = new Map<StateKey, EventId | undefined>()
  for (const { changes } of deltas) {
    for (const { key, before } of changes) if (!held.has(key)) held.set(key, before)
  }
  return [...held.keys()].filter((key) => wanted(key) !== held.get(key))
}

/** The members that a reader of the timeline needs, by state key. */
function membersOfTimeline({
  timeline,
  deltas,
  alwaysMembers,
  filter,
}: StateQuery): ReadonlyMap<StateKey, UserId> {
  const members = new Map<StateKey, UserId>()
  if (!filter.lazyLoadMembers) return members
  const add = (userId: UserId): void => void members.set(memberKey(userId), userId)
  for (const { record } of timeline.seen) {
    add(record.pdu.sender)
    if (record.pdu.type === 'm.room.member') add(record.pdu.state_key as UserId)
  }
  if (deltas === undefined) for (const userId of alwaysMembers) add(userId)
  return members
}

/** A member event that the device has already. */
function isRedundant(query: StateQuery, member: UserId, id: EventId | undefined): boolean {
  const { deltas, filter, lazy, roomId } = query
  if (id === undefined) return true
  return deltas !== undefined && !filter.includeRedundantMembers && lazy.has(roomId, member, id)
}

function noteMembers({ filter, lazy, roomId }: StateQuery, records: readonly EventRecord[]): void {
  if (!filter.lazyLoadMembers) return
  for (const { id, pdu } of records) {
    if (pdu.type === 'm.room.member') lazy.sent(roomId, pdu.state_key as UserId, id)
  }
}
