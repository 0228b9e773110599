import type { EventId } from '../ids.ts'
import { authEventIds, type EventView, type KnownEvent } from '../pdu.ts'

/** Collects the events that a computation would have needed. */
export interface Lookup {
  /** The event, or `undefined` after noting that it is missing. */
  get(id: EventId): KnownEvent | undefined
  readonly missing: ReadonlySet<EventId>
}

export function createLookup(view: EventView): Lookup {
  const missing = new Set<EventId>()
  return {
    get(id) {
      const event = view.get(id)
      if (event === undefined) missing.add(id)
      return event
    },
    missing,
  }
}

function parentsOf(id: EventId, lookup: Lookup): readonly EventId[] {
  const event = lookup.get(id)
  return event === undefined ? [] : authEventIds(event.pdu)
}

/**
 * The union of the auth chains of some events: everything reachable by `auth_events`, without the starting events
 * unless one is in another's chain. Stops early once `enough` says so. spec: rooms/v12.md "Auth chain"
 */
export function authChain(
  starts: Iterable<EventId>,
  lookup: Lookup,
  enough: (id: EventId) => boolean = () => false,
): ReadonlySet<EventId> {
  const chain = new Set<EventId>()
  const expanded = new Set<EventId>()
  const stack: EventId[] = [...starts]
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    if (expanded.has(id)) continue
    expanded.add(id)
    for (const parent of parentsOf(id, lookup)) {
      if (chain.has(parent)) continue
      chain.add(parent)
      if (enough(parent)) return chain
      stack.push(parent)
    }
  }
  return chain
}

/**
 * All events on paths by `auth_events` between two of the given events, ends included; an event that no other
 * reaches is not in it. `within` holds the events and their auth chains. spec: rooms/v12.md "Conflicted state subgraph"
 */
export function subgraphBetween(
  ends: ReadonlySet<EventId>,
  within: ReadonlySet<EventId>,
  lookup: Lookup,
): ReadonlySet<EventId> {
  // An event is on such a path if one of `ends` reaches it (all of `within` is so reached) and it reaches one: walk
  // the edges backwards from the ends.
  const children = new Map<EventId, EventId[]>()
  for (const id of new Set([...ends, ...within])) {
    for (const parent of parentsOf(id, lookup)) {
      const known = children.get(parent)
      if (known === undefined) children.set(parent, [id])
      else known.push(id)
    }
  }
  const found = new Set<EventId>()
  const stack: EventId[] = [...ends]
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    for (const child of children.get(id) ?? []) {
      if (found.has(child)) continue
      found.add(child)
      stack.push(child)
    }
  }
  for (const end of ends) if (children.has(end)) found.add(end)
  return found
}
