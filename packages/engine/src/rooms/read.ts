/** What others may read of the rooms: committed events, states and timelines. */
import type { EventId, ServerName, StateKey, StateMap, UserId } from '@plexus/core'
import { serverOf } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { createReadCache } from '../kernel/read-cache.ts'
import type { RangeOptions, Store } from '../ports.ts'
import { stateBefore } from './copy.ts'
import type { EventStore } from './event-store.ts'
import { deltas, memberships, relations, timelines } from './records.ts'
import type { RoomRegistry } from './registry.ts'
import type { StateGroups } from './state-groups.ts'
import type { EventRecord, MembershipRecord, RoomSnapshot, Rooms, TimelinePage } from './types.ts'

/** Below every order that history can get. */
export const LOWEST_ORDER: number = -(2 ** 51)
/** Local users whose memberships are kept in memory. */
export const MAX_CACHED_MEMBERS = 256
/** Largest page of a timeline. */
export const MAX_TIMELINE_PAGE = 1_000

type Reader = Pick<
  Rooms,
  | 'snapshot'
  | 'event'
  | 'events'
  | 'stateAfter'
  | 'stateBefore'
  | 'stateEvents'
  | 'timeline'
  | 'relations'
  | 'stateDeltas'
  | 'memberships'
  | 'membership'
  | 'localMembers'
>

/** An event id under a key that ends in its order. */
type Placed = readonly [key: readonly (string | number)[], id: EventId]

export type ReadDeps = {
  readonly store: Store
  readonly events: EventStore
  readonly groups: StateGroups
  readonly registry: RoomRegistry
  readonly ownName: ServerName
  readonly committer: Committer
}

export function createReader(deps: ReadDeps): Reader {
  const { store, events, groups, registry, ownName } = deps
  // Asked for with every `/sync`.
  const known = createReadCache<readonly MembershipRecord[]>(MAX_CACHED_MEMBERS)
  /** Of the newest change of a state, or the last that was made before this process. */
  let newestDelta = deps.committer.committed
  deps.committer.onCommit((position, maps) => {
    if (maps.has(memberships.map)) known.clear()
    if (maps.has(deltas.map)) newestDelta = position
  })

  const stateAfter = async (id: EventId): Promise<StateMap | undefined> => {
    const group = (await events.get(id))?.stateGroup
    return group === undefined ? undefined : (await groups.load(group)).state
  }

  const pageOf = async (
    { from, to, direction, limit }: Parameters<Rooms['timeline']>[1],
    read: (from: number, to: number, options: RangeOptions) => Promise<readonly Placed[]>,
  ): Promise<TimelinePage> => {
    const size = Math.min(limit, MAX_TIMELINE_PAGE)
    const reverse = direction === 'b'
    const entries = await read(from + 1, to + 1, { limit: size + 1, reverse })
    const page = entries.slice(0, size)
    const records = present(await events.getMany(page.map(([, id]) => id)))
    const last = page.at(-1)?.[0].at(-1)
    return entries.length > size && typeof last === 'number'
      ? { events: records, next: reverse ? last - 1 : last }
      : { events: records }
  }

  return {
    async snapshot(roomId) {
      return (await registry.get(roomId))?.snapshot
    },
    event: (id) => events.get(id),
    events: (ids) => events.getMany(ids),
    stateAfter,
    async stateBefore(id) {
      const record = await events.get(id)
      const after = record === undefined ? undefined : await stateAfter(id)
      return record === undefined || after === undefined ? undefined : stateBefore(record, after)
    },
    async stateEvents(state: StateMap, keys?: readonly StateKey[]) {
      const ids = keys === undefined ? [...state.values()] : keys.flatMap((key) => state.get(key) ?? [])
      return present(await events.getMany(ids))
    },
    async timeline(roomId, range) {
      return pageOf(range, async (from, to, options) => {
        const newest = events.newestRows.range(roomId, from, to, options)
        return newest ?? timelines.range(store, [roomId], from, to, options)
      })
    },
    async relations(roomId, parent, range) {
      return pageOf(range, (from, to, options) => relations.range(store, [roomId, parent], from, to, options))
    },
    async stateDeltas(roomId, from, to) {
      if (from >= newestDelta) return []
      const entries = await deltas.range(store, [roomId], from + 1, to + 1)
      return entries.map(([[, position], changes]) => ({ position, changes }))
    },
    memberships: (userId) =>
      known.get(userId, async () => (await memberships.list(store, [userId])).map(([, record]) => record)),
    membership: (userId, roomId) => memberships.get(store, [userId, roomId]),
    localMembers: (snapshot: RoomSnapshot): readonly UserId[] =>
      snapshot.joinedMembers.filter((user) => serverOf(user) === ownName),
  }
}

function present(records: readonly (EventRecord | undefined)[]): EventRecord[] {
  return records.filter((record) => record !== undefined)
}
