/**
 * States stored as changes to other states, in chains of bounded length, with resolved maps cached.
 * Invariant: a group never changes once written; its id derives from the event that made it.
 */
import type { EventId, StateKey, StateMap } from '@plexus/core'
import { stateDifference } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Store, Write } from '../ports.ts'
import type { StateGroupRecord } from './records.ts'
import { groups } from './records.ts'

/** Longest chain of changes that a reader has to follow. */
export const MAX_STATE_CHAIN = 64
/** Resolved maps kept in memory. */
export const MAX_CACHED_STATES = 256

export type StateGroup = { readonly id: string; readonly state: StateMap; readonly chain: number }

export interface StateGroups {
  /** @throws when a group is not there: a fault, since groups are never deleted while referred to. */
  load(id: string): Promise<StateGroup>
  /** A cached group, without I/O. */
  peek(id: string): StateGroup | undefined
  /** A new group, and the writes that keep it. It is readable at once; `clear` forgets it if its commit fails. */
  create(
    id: string,
    state: StateMap,
    base: StateGroup | undefined,
  ): { group: StateGroup; writes: readonly Write[] }
  clear(): void
}

export function createStateGroups(store: Store): StateGroups {
  const cache = createLru<string, StateGroup>(MAX_CACHED_STATES)

  const loadChain = async (
    id: string,
  ): Promise<{ root: StateGroup | undefined; records: StateGroupRecord[] }> => {
    const records: StateGroupRecord[] = []
    let next: string | undefined = id
    while (next !== undefined) {
      const cached = cache.get(next)
      if (cached !== undefined) return { root: cached, records }
      const record: StateGroupRecord | undefined = await groups.get(store, [next])
      if (record === undefined) throw new Error(`state group ${next} is missing`)
      records.push(record)
      next = record.prev
    }
    return { root: undefined, records }
  }

  return {
    async load(id) {
      const { root, records } = await loadChain(id)
      if (records.length === 0 && root !== undefined) return root
      const state = new Map<StateKey, EventId>(root?.state)
      for (const { changes } of records.toReversed()) applyChanges(state, changes)
      const group = { id, state, chain: records[0]?.chain ?? 0 }
      cache.set(id, group)
      return group
    },
    peek: (id) => cache.get(id),
    create(id, state, base) {
      const changes =
        base === undefined || base.chain >= MAX_STATE_CHAIN ? undefined : changesBetween(base.state, state)
      const record: StateGroupRecord =
        changes === undefined || base === undefined
          ? { chain: 0, changes: Object.fromEntries(state) }
          : { prev: base.id, chain: base.chain + 1, changes }
      const group = { id, state, chain: record.chain }
      cache.set(id, group)
      return { group, writes: [groups.put([id], record)] }
    },
    clear: () => cache.clear(),
  }
}

function applyChanges(state: Map<StateKey, EventId>, changes: StateGroupRecord['changes']): void {
  for (const [key, id] of Object.entries(changes)) {
    if (id === null) state.delete(key as StateKey)
    else state.set(key as StateKey, id)
  }
}

/** What turns `from` into `to`. */
function changesBetween(from: StateMap, to: StateMap): Record<string, EventId | null> {
  return Object.fromEntries(stateDifference(from, to).map(({ key, to: id }) => [key, id ?? null]))
}
