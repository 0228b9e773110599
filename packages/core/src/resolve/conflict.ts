import type { EventId } from '../ids.ts'
import type { RoomVersion } from '../room-version.ts'
import type { StateKey, StateMap } from '../state.ts'
import { authChain, subgraphBetween, type Lookup } from './graph.ts'

/** spec: rooms/v12.md "Unconflicted state map and conflicted state set" */
export function separate(sets: readonly StateMap[]): {
  unconflicted: Map<StateKey, EventId>
  conflicted: Set<EventId>
} {
  const unconflicted = new Map<StateKey, EventId>()
  const conflicted = new Set<EventId>()
  const seen = new Set<StateKey>()
  for (const set of sets) {
    for (const [key, id] of set) {
      if (seen.has(key)) continue
      seen.add(key)
      if (sets.every((other) => other.get(key) === id)) {
        unconflicted.set(key, id)
        continue
      }
      for (const other of sets) {
        const value = other.get(key)
        if (value !== undefined) conflicted.add(value)
      }
    }
  }
  return { unconflicted, conflicted }
}

/**
 * spec: rooms/v12.md "Full conflicted set"
 *
 * The full auth chain of a state counts the events of the state itself. The text can be read as leaving them out, but
 * the servers that rooms are shared with count them, and the difference changes results.
 */
export function fullConflictedSet(
  version: RoomVersion,
  sets: readonly StateMap[],
  unconflicted: StateMap,
  conflicted: ReadonlySet<EventId>,
  lookup: Lookup,
): ReadonlySet<EventId> {
  // The events on which the sets differ and their chains, set by set.
  const chains = sets.map((set) => {
    const differing = [...set].flatMap(([key, id]) => (unconflicted.has(key) ? [] : [id]))
    return new Set([...differing, ...authChain(differing, lookup)])
  })
  const union = new Set(chains.flatMap((chain) => [...chain]))
  const full = new Set(conflicted)
  if (version.stateResolution.conflictedSubgraph) {
    for (const id of subgraphBetween(conflicted, union, lookup)) full.add(id)
  }
  // The auth difference. An unconflicted event and its chain are in the full chain of every set, so they are not in
  // the difference; only candidates that are not in the full conflicted set anyway need to be looked for there.
  const common = new Set(unconflicted.values())
  const isCandidate = (id: EventId): boolean => !full.has(id) && !common.has(id)
  const candidates = new Set(
    [...union].filter((id) => isCandidate(id) && !chains.every((chain) => chain.has(id))),
  )
  if (candidates.size > 0) {
    let left = candidates.size
    const shared = authChain(common, lookup, (id) => candidates.has(id) && --left === 0)
    for (const id of candidates) if (!shared.has(id)) full.add(id)
  }
  return full
}
