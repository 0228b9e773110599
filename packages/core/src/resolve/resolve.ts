import { checkAuth } from '../auth/check-auth.ts'
import { authEventState } from '../auth/auth-events.ts'
import { authStateKeys } from '../auth/selection.ts'
import { createIdOf } from '../create-id.ts'
import type { EventId } from '../ids.ts'
import { ownValue } from '../json.ts'
import type { EventView, KnownEvent, Pdu } from '../pdu.ts'
import { changeState, differingKeys } from '../layered-state.ts'
import type { RoomVersion } from '../room-version.ts'
import { POWER_LEVELS_KEY, stateKeyOf, type StateKey, type StateMap } from '../state.ts'
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
  const full = fullConflictedSet(version, sets, differing, lookup)
  if (lookup.missing.size > 0) return need(lookup)
  const events = stateEvents(full, lookup)
  const create = createOf(version, events, lookup)
  if (create === undefined) return need(lookup)

  // Steps 1 and 2
  const chosen = withPowerEvents(events, lookup)
  const started: StateMap = version.stateResolution.startsEmpty ? new Map() : unconflicted
  const partial = applyAllowed(version, create, started, sortByPower(version, create, chosen, lookup), lookup)
  // Steps 3 and 4
  const chosenIds = new Set(chosen.map((event) => event.id))
  const rest = events.filter((event) => !chosenIds.has(event.id))
  const levelsId = partial.get(POWER_LEVELS_KEY)
  const levels = levelsId === undefined ? undefined : lookup.get(levelsId)
  const state = applyAllowed(version, create, partial, sortByMainline(levels, rest, lookup), lookup)
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

/** The create event that the rules look at; `undefined` after noting that it is missing. */
function createOf(version: RoomVersion, events: readonly KnownEvent[], lookup: Lookup): Pdu | undefined {
  const id = events.map((event) => createIdOf(version, event.pdu)).find((found) => found !== undefined)
  // Without one, the conflict is between create events alone, and rule 1 reads no state.
  return id === undefined ? events[0]?.pdu : lookup.get(id)?.pdu
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
  create: Pdu,
  initial: StateMap,
  sorted: readonly KnownEvent[],
  lookup: Lookup,
): Map<StateKey, EventId> {
  const state = new Map(initial)
  for (const { id, pdu } of sorted) {
    const own = authEventState(pdu, lookup)
    const auth = new Map<StateKey, Pdu>()
    for (const key of authStateKeys(version, pdu)) {
      const inState = state.get(key)
      const event = inState === undefined ? own.get(key) : lookup.get(inState)?.pdu
      if (event !== undefined) auth.set(key, event)
    }
    const key = stateKeyOf(pdu)
    const failure = checkAuth(version, pdu, { create, get: (wanted) => auth.get(wanted) })
    if (key !== undefined && failure === undefined) state.set(key, id)
  }
  return state
}
