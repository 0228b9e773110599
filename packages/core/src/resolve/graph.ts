import type { EventId } from '../ids.ts'
import { authEventIds, type AuthChildren, type AuthView, type EventView, type KnownEvent } from '../pdu.ts'

/** What a computation lacked. */
export type Missing = {
  /** Sorted. */
  readonly events: readonly EventId[]
  /**
   * Of the auth chains of `events` that much is wanted too: what is of this generation or a later one. Goes down
   * further each time, by more than all that was walked before, so that a few rounds are enough.
   */
  readonly floor: number
  /** Events of which `children` is wanted, or more of them, sorted. */
  readonly children: readonly EventId[]
}

/** Generations to load below the lowest that was reached, and how many for each that was walked. */
const FIRST_STRIDE = 8
const STRIDE_FACTOR = 4

/** Walks the auth graph and collects what it would have needed. */
export interface Lookup extends EventView {
  /** The event, or `undefined` after noting that it is missing. */
  get(id: EventId): KnownEvent | undefined
  /** The auth events of an event, without those that are missing. */
  parents(event: KnownEvent): readonly KnownEvent[]
  generation(event: KnownEvent): number
  /** What is known of them. */
  children(id: EventId): AuthChildren | undefined
  /** Notes that this is not enough. */
  wantChildren(id: EventId): void
  /** `undefined` when nothing was. */
  missing(): Missing | undefined
}

export function createLookup(view: AuthView): Lookup {
  const missing = new Set<EventId>()
  const childless = new Set<EventId>()
  let highest = -Infinity
  let lowest = Infinity

  const get = (id: EventId): KnownEvent | undefined => {
    const event = view.get(id)
    if (event === undefined) missing.add(id)
    return event
  }

  return {
    get,
    parents(event) {
      const generation = view.generation(event.id)
      const ids = authEventIds(event.pdu)
      const events = ids.flatMap((id) => get(id) ?? [])
      highest = Math.max(highest, generation)
      if (events.length < ids.length) lowest = Math.min(lowest, generation)
      return events
    },
    generation: (event) => view.generation(event.id),
    children: (id) => view.children(id),
    wantChildren: (id) => void childless.add(id),
    missing() {
      if (missing.size === 0 && childless.size === 0) return undefined
      // Infinity where nothing that was walked lacks an auth event.
      const floor = lowest - FIRST_STRIDE - STRIDE_FACTOR * (highest - lowest)
      return { events: [...missing].sort(compareIds), floor, children: [...childless].sort(compareIds) }
    },
  }
}

/** The order of two ids that are not the same. They are ASCII, so it is that of their characters. */
export function compareIds(a: EventId, b: EventId): number {
  return a < b ? -1 : 1
}

/**
 * Of the union of the auth chains of some events what is of the generation `floor` or a later one, without the
 * starting events unless one is in another's chain. spec: rooms/v12.md "Auth chain"
 */
export function authChain(
  starts: readonly KnownEvent[],
  floor: number,
  lookup: Lookup,
): ReadonlySet<EventId> {
  const chain = new Set<EventId>()
  const stack = [...starts]
  for (let event = stack.pop(); event !== undefined; event = stack.pop()) {
    if (lookup.generation(event) <= floor) continue
    for (const parent of lookup.parents(event)) {
      if (chain.has(parent.id) || lookup.generation(parent) < floor) continue
      chain.add(parent.id)
      stack.push(parent)
    }
  }
  return chain
}

/** The lowest generation among some events. */
export function lowestOf(events: Iterable<KnownEvent>, lookup: Lookup): number {
  let lowest = Infinity
  for (const event of events) lowest = Math.min(lowest, lookup.generation(event))
  return lowest
}
