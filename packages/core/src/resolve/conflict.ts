import type { EventId } from '../ids.ts'
import type { RoomVersion } from '../room-version.ts'
import { stateKeyOf, type StateKey, type StateMap } from '../state.ts'
import { authChain, subgraphBetween, type Lookup } from './graph.ts'

/**
 * The events at the places where the states differ.
 * spec: rooms/v12.md "Unconflicted state map and conflicted state set"
 */
export function conflictedSet(
  sets: readonly StateMap[],
  differing: ReadonlySet<StateKey>,
): ReadonlySet<EventId> {
  return new Set(sets.flatMap((set) => idsAt(set, differing)))
}

function idsAt(set: StateMap, keys: ReadonlySet<StateKey>): EventId[] {
  return [...keys].flatMap((key) => set.get(key) ?? [])
}

/**
 * `differing` are the places where `sets` differ. spec: rooms/v12.md "Full conflicted set"
 *
 * The full auth chain of a state counts the events of the state itself. The text can be read as leaving them out, but
 * the servers that rooms are shared with count them, and the difference changes results.
 */
export function fullConflictedSet(
  version: RoomVersion,
  sets: readonly StateMap[],
  differing: ReadonlySet<StateKey>,
  lookup: Lookup,
): ReadonlySet<EventId> {
  // The events on which the sets differ and their chains, set by set.
  const chains = sets.map((set) => {
    const ids = idsAt(set, differing)
    return new Set([...ids, ...authChain(ids, lookup)])
  })
  const union = new Set(chains.flatMap((chain) => [...chain]))
  const conflicted = conflictedSet(sets, differing)
  const full = new Set(conflicted)
  if (version.stateResolution.conflictedSubgraph) {
    for (const id of subgraphBetween(conflicted, union, lookup)) full.add(id)
  }
  // The auth difference. An unconflicted event and its chain are in the full chain of every set, so they are not in
  // the difference; only candidates that are not in the full conflicted set anyway need to be looked for there.
  const candidates = new Set<EventId>()
  for (const id of union) {
    if (full.has(id) || chains.every((chain) => chain.has(id))) continue
    if (!isUnconflicted(id, sets, differing, lookup)) candidates.add(id)
  }
  if (candidates.size > 0) {
    let left = candidates.size
    const shared = authChain(
      unconflictedIds(sets, differing),
      lookup,
      (id) => candidates.has(id) && --left === 0,
    )
    for (const id of candidates) if (!shared.has(id)) full.add(id)
  }
  return full
}

function isUnconflicted(
  id: EventId,
  [first]: readonly StateMap[],
  differing: ReadonlySet<StateKey>,
  lookup: Lookup,
): boolean {
  const event = lookup.get(id)
  const key = event === undefined ? undefined : stateKeyOf(event.pdu)
  return key !== undefined && !differing.has(key) && first?.get(key) === id
}

function* unconflictedIds([first]: readonly StateMap[], differing: ReadonlySet<StateKey>): Iterable<EventId> {
  for (const [key, id] of first ?? []) if (!differing.has(key)) yield id
}
