/**
 * States stored as changes to other states, in chains of bounded length, with resolved maps cached.
 *
 * Each state stands `chain` changes after one that is stored whole. It is stored as what it changes in the one before,
 * every 64th in the 64th before it, and every 4,096th in the 4,096th before: so a reader follows few records, and what
 * a change writes does not grow with the state.
 *
 * Invariant: a group never changes once written; its id derives from the event that made it.
 */
import type { EventId, StateKey, StateMap } from '@plexus/core'
import { changeState, stateDifference } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Store, Write } from '../ports.ts'
import type { StateGroupRecord } from './records.ts'
import { groups } from './records.ts'

/** Changes after which one is stored that skips them. */
const STRIDE = 64
/** Sizes of steps: 1, 64 and 4,096 changes. */
const LEVELS = 2
/** A state after that many changes is stored whole. */
export const MAX_STATE_CHAIN: number = STRIDE ** (LEVELS + 1)
/** Most records that a reader has to follow to one that is stored whole. */
export const MAX_STATE_PATH: number = STRIDE * (LEVELS + 1)
/** Resolved maps kept in memory. */
export const MAX_CACHED_STATES = 256

export type StateGroup = {
  readonly id: string
  readonly state: StateMap
  readonly chain: number
  /** The last states at or before this one that the next steps of 64 and of 4,096 changes begin at. */
  readonly anchors: readonly Anchor[]
}

type Anchor = Pick<StateGroup, 'id' | 'state'>

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

  return {
    async load(id) {
      const records: { readonly id: string; readonly record: StateGroupRecord }[] = []
      let group: StateGroup | undefined
      for (let next: string | undefined = id; next !== undefined;) {
        group = cache.get(next)
        if (group !== undefined) break
        const record: StateGroupRecord | undefined = await groups.get(store, [next])
        if (record === undefined) throw new Error(`state group ${next} is missing`)
        records.push({ id: next, record })
        next = record.prev
      }
      for (const { id: own, record } of records.toReversed()) {
        group = stand(own, changed(group?.state, record.changes), record.chain, group)
        // The whole one too: all that is made of it shares its map.
        if (own === id || record.prev === undefined) cache.set(own, group)
      }
      if (group === undefined) throw new Error(`state group ${id} is missing`)
      return group
    },
    peek: (id) => cache.get(id),
    create(id, state, base) {
      const chain = base === undefined ? 0 : (base.chain + 1) % MAX_STATE_CHAIN
      const group = stand(id, state, chain, base)
      cache.set(id, group)
      const level = levelOf(chain)
      const prev = chain === 0 ? undefined : level === 0 ? base : base?.anchors[level - 1]
      const record: StateGroupRecord =
        prev === undefined
          ? { chain: 0, changes: Object.fromEntries(state) }
          : { prev: prev.id, chain, changes: changesBetween(prev.state, state) }
      return { group, writes: [groups.put([id], record)] }
    },
    clear: () => cache.clear(),
  }
}

/** How large a step leads to the state after so many changes. */
function levelOf(chain: number): number {
  let level = 0
  while (level < LEVELS && chain % STRIDE ** (level + 1) === 0) level += 1
  return level
}

/** A group that is made from `before`, by a step of any size. */
function stand(id: string, state: StateMap, chain: number, before: StateGroup | undefined): StateGroup {
  const own = { id, state }
  const level = levelOf(chain)
  const anchors = Array.from({ length: LEVELS }, (_, index) =>
    index < level ? own : (before?.anchors[index] ?? own),
  )
  return { ...own, chain, anchors }
}

function changed(state: StateMap | undefined, changes: StateGroupRecord['changes']): StateMap {
  const entries = Object.entries(changes) as [StateKey, EventId | null][]
  const layer = new Map(entries.map(([key, id]) => [key, id ?? undefined]))
  return changeState(state ?? new Map(), layer)
}

/** What turns `from` into `to`. */
function changesBetween(from: StateMap, to: StateMap): Record<string, EventId | null> {
  return Object.fromEntries(stateDifference(from, to).map(({ key, to: id }) => [key, id ?? null]))
}
