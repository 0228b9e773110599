import type { EventId } from '../ids.ts'
import type { AuthChildren, KnownEvent } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { stateKeyOf, type StateKey, type StateMap } from '../state.ts'
import { lowestOf, type Lookup } from './graph.ts'
import { between, walkDown } from './walk.ts'

const NO_PLACES: AuthChildren['places'] = new Map()

/**
 * The events at the places where the states differ, each with the states that have it: one bit for each.
 * spec: rooms/v12.md "Unconflicted state map and conflicted state set"
 */
export function conflictedSet(
  sets: readonly StateMap[],
  differing: ReadonlySet<StateKey>,
): ReadonlyMap<EventId, bigint> {
  const conflicted = new Map<EventId, bigint>()
  sets.forEach((set, index) => {
    for (const key of differing) {
      const id = set.get(key)
      if (id !== undefined) conflicted.set(id, (conflicted.get(id) ?? 0n) | (1n << BigInt(index)))
    }
  })
  return conflicted
}

/**
 * `differing` are the places where `sets` differ. spec: rooms/v12.md "Full conflicted set"
 *
 * The full auth chain of a state counts the events of the state itself. The text can be read as leaving them out, but
 * the servers that rooms are shared with count them, and the difference changes results.
 *
 * Costs as much as the events that the states differ in, what lies between them in the auth graph, and what was
 * authorised by what only some of their chains have.
 */
export function fullConflictedSet(
  version: RoomVersion,
  sets: readonly StateMap[],
  differing: ReadonlySet<StateKey>,
  lookup: Lookup,
): ReadonlySet<EventId> {
  const conflicted = conflictedSet(sets, differing)
  const starts = new Map<KnownEvent, bigint>()
  for (const [id, states] of conflicted) {
    const event = lookup.get(id)
    if (event !== undefined) starts.set(event, states)
  }
  const full = new Set(conflicted.keys())
  if (starts.size < conflicted.size) return full
  const everyState = (1n << BigInt(sets.length)) - 1n
  const [first] = sets
  const isUnconflicted = (id: EventId, key: StateKey | undefined): boolean =>
    key !== undefined && !differing.has(key) && first?.get(key) === id

  const { conflictedSubgraph } = version.stateResolution
  const lowest = conflictedSubgraph ? lowestOf(starts.keys(), lookup) : Infinity
  const walked = walkDown(
    starts,
    everyState,
    lowest,
    ({ id, pdu }) => isUnconflicted(id, stateKeyOf(pdu)),
    lookup,
  )
  if (conflictedSubgraph) for (const id of between(walked, full)) full.add(id)
  // The auth difference: what only some have by their conflicted events, unless all have it by an unconflicted one.
  const authorises = createReach(isUnconflicted, lookup)
  for (const { event, states } of walked) {
    if (states !== everyState && !full.has(event.id) && !authorises(event.id)) full.add(event.id)
  }
  return full
}

/**
 * Answers whether an event is in the auth chain of an unconflicted one, by looking at what it authorised: that is
 * little where a fork is young, and an unconflicted event soon comes up where it is old.
 */
function createReach(
  isUnconflicted: (id: EventId, key: StateKey) => boolean,
  lookup: Lookup,
): (id: EventId) => boolean {
  /** Looked at, and no unconflicted event is above. */
  const without = new Set<EventId>()
  const hasUnconflicted = (children: AuthChildren | undefined): boolean => {
    for (const [id, key] of children?.places ?? []) if (isUnconflicted(id, key)) return true
    return false
  }
  return (start) => {
    const unknown: EventId[] = []
    const path: { readonly id: EventId; readonly rest: Iterator<EventId> }[] = []
    const enter = (id: EventId): boolean => {
      const children = lookup.children(id)
      if (hasUnconflicted(children)) return true
      if (children?.complete !== true) unknown.push(id)
      without.add(id)
      path.push({ id, rest: (children?.places ?? NO_PLACES).keys() })
      return false
    }
    let found = !without.has(start) && enter(start)
    for (let top = path.at(-1); top !== undefined && !found; top = path.at(-1)) {
      const { done, value } = top.rest.next()
      if (done === true) path.pop()
      else if (!without.has(value)) found = enter(value)
    }
    // What is on a path that ended at an unconflicted event is below it.
    if (found) for (const { id } of path) without.delete(id)
    else for (const id of unknown) lookup.wantChildren(id)
    return found
  }
}
