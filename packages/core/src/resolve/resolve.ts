import { authEventState } from '../auth/auth-events.ts'
import type { EventId } from '../ids.ts'
import { ownValue } from '../json.ts'
import type { EventView, KnownEvent } from '../pdu.ts'
import { changeState, differingKeys } from '../layered-state.ts'
import type { RoomVersion } from '../room-version.ts'
import { POWER_LEVELS_KEY, stateKeyOf, type StateKey, type StateMap } from '../state.ts'
import { isAllowedIn } from './allowed.ts'
import { resolveByDepth } from './by-depth.ts'
import { fullConflictedSet } from './conflict.ts'
import { authChain, createLookup, type Lookup } from './graph.ts'
import { compareIds, sortByMainline, sortByPower } from './order.ts'

export type Resolution =
  | { readonly kind: 'resolved'; readonly state: StateMap }
  /** Events that must be known first, sorted; each with its whole auth chain, or one more call asks for that. */
  | { readonly kind: 'need'; readonly events: readonly EventId[] }

/**
 * The state that follows from several. Does not depend on the order of `stateSets`. No set gives the empty state.
 * spec: rooms/v12.md "State resolution"
 */
export function resolve(version: RoomVersion, stateSets: readonly StateMap[], view: EventView): Resolution {
  const [first, ...others] = [...new Set(stateSets)]
  if (first === undefined) return { kind: 'resolved', state: new Map() }
  if (others.length === 0) return { kind: 'resolved', state: first }
  const sets = [first, ...others]
  const differing = differingKeys(sets)
  if (differing.size === 0) return { kind: 'resolved', state: first }
  const unconflicted = changeState(first, new Map([...differing].map((key) => [key, undefined])))

  const lookup = createLookup(view)
  if (version.stateResolution.by === 'depth') {
    const resolved = resolveByDepth(version, sets, differing, lookup)
    return lookup.missing.size > 0 ? need(lookup) : { kind: 'resolved', state: resolved }
  }
  const full = fullConflictedSet(version, sets, differing, lookup)
  if (lookup.missing.size > 0) return need(lookup)
  const events = stateEvents(full, lookup)

  // Steps 1 and 2
  const chosen = withPowerEvents(events, lookup)
  const started: StateMap = version.stateResolution.startsEmpty ? new Map() : unconflicted
  const partial = applyAllowed(version, started, sortByPower(version, chosen, lookup), lookup)
  // Steps 3 and 4
  const chosenIds = new Set(chosen.map((event) => event.id))
  const rest = events.filter((event) => !chosenIds.has(event.id))
  const levelsId = partial.get(POWER_LEVELS_KEY)
  const levels = levelsId === undefined ? undefined : lookup.get(levelsId)
  const state = applyAllowed(version, partial, sortByMainline(levels, rest, lookup), lookup)
  if (lookup.missing.size > 0) return need(lookup)
  // Step 5
  const decided = [...state].filter(([key]) => !unconflicted.has(key))
  return { kind: 'resolved', state: changeState(unconflicted, new Map(decided)) }
}

function need(lookup: Lookup): Resolution {
  return { kind: 'need', events: [...lookup.missing].sort(compareIds) }
}

/** The events of a set, sorted by id; only state events can be part of a state. */
function stateEvents(ids: ReadonlySet<EventId>, lookup: Lookup): KnownEvent[] {
  const events = [...ids].sort(compareIds).flatMap((id) => lookup.get(id) ?? [])
  return events.filter((event) => event.pdu.state_key !== undefined)
}

/** spec: rooms/v12.md "Power events" */
function isPowerEvent({ pdu }: KnownEvent): boolean {
  if (pdu.type === 'm.room.power_levels' || pdu.type === 'm.room.join_rules') return true
  if (pdu.type !== 'm.room.member' || pdu.sender === pdu.state_key) return false
  const membership = ownValue(pdu.content, 'membership')
  return membership === 'leave' || membership === 'ban'
}

/** Step 1: the power events, and of their auth chains what is in the full conflicted set. */
function withPowerEvents(events: readonly KnownEvent[], lookup: Lookup): readonly KnownEvent[] {
  const powerIds = events.filter(isPowerEvent).map((event) => event.id)
  const chosen = new Set([...powerIds, ...authChain(powerIds, lookup)])
  return events.filter((event) => chosen.has(event.id))
}

/** spec: rooms/v12.md "Iterative auth checks" */
function applyAllowed(
  version: RoomVersion,
  initial: StateMap,
  sorted: readonly KnownEvent[],
  lookup: Lookup,
): Map<StateKey, EventId> {
  const state = new Map(initial)
  for (const { id, pdu } of sorted) {
    const key = stateKeyOf(pdu)
    if (key === undefined) continue
    if (isAllowedIn(version, pdu, state, authEventState(pdu, lookup), lookup)) state.set(key, id)
  }
  return state
}
