import type { EventId } from '../ids.ts'
import { authEventIds, type KnownEvent } from '../pdu.ts'
import type { Lookup } from './graph.ts'
import { createHeap } from './heap.ts'

/** An event on the way down, and the states in whose full auth chain it is: one bit for each. */
export type Reached = { readonly event: KnownEvent; readonly generation: number; states: bigint }

/**
 * Walks down from some events by `auth_events`, latest generation first, and answers with what it came by in that
 * order: all that is in some of the full auth chains and not in all, and of the rest all of the generation `lowest`
 * or a later one. Goes no further: below lies only what every state has.
 *
 * When an event's turn comes, all that name it had theirs, being of later generations, so its `states` are final. What
 * is in every chain passes that on to its own auth events; so once only such events wait, nothing below can differ.
 */
export function walkDown(
  starts: ReadonlyMap<KnownEvent, bigint>,
  everyState: bigint,
  lowest: number,
  isInEvery: (event: KnownEvent) => boolean,
  lookup: Lookup,
): readonly Reached[] {
  const reached = new Map<EventId, Reached>()
  const waiting = createHeap<Reached>((a, b) => b.generation - a.generation)
  /** Those waiting that are not in every chain. */
  let partly = 0
  const reach = (event: KnownEvent, states: bigint): void => {
    const known = reached.get(event.id)
    if (known === undefined) {
      const all = isInEvery(event) ? everyState : states
      const entry = { event, generation: lookup.generation(event), states: all }
      reached.set(event.id, entry)
      waiting.push(entry)
      partly += Number(all !== everyState)
    } else if (known.states !== everyState) {
      known.states |= states
      partly -= Number(known.states === everyState)
    }
  }
  for (const [event, states] of starts) reach(event, states)
  const walked: Reached[] = []
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    walked.push(next)
    // An event in every chain matters further down only where it meets others, or may lie between the starts.
    if (partly > 0 || next.generation > lowest) {
      for (const parent of lookup.parents(next.event)) reach(parent, next.states)
    }
    partly -= Number(next.states !== everyState)
  }
  return walked
}

/**
 * Of the events of a walk those that lie on a path by `auth_events` between two of `ends`, from which it started.
 * spec: rooms/v12.md "Conflicted state subgraph"
 */
export function between(walked: readonly Reached[], ends: ReadonlySet<EventId>): ReadonlySet<EventId> {
  // All of them are reached from an end. From below: those that reach one.
  const found = new Set<EventId>()
  for (const { event } of walked.toReversed()) {
    if (authEventIds(event.pdu).some((id) => ends.has(id) || found.has(id))) found.add(event.id)
  }
  return found
}
