import { authEventState } from '../auth/auth-events.ts'
import type { EventId } from '../ids.ts'
import { ownValue } from '../json.ts'
import type { AuthView, KnownEvent } from '../pdu.ts'
import { changeState, differingKeys } from '../layered-state.ts'
import type { RoomVersion } from '../room-version.ts'
import { POWER_LEVELS_KEY, stateKeyOf, type StateKey, type StateMap } from '../state.ts'
import { isAllowedIn } from './allowed.ts'
import { resolveByDepth } from './by-depth.ts'
import { fullConflictedSet } from './conflict.ts'
import { authChain, createLookup, lowestOf, type Lookup, type Missing } from './graph.ts'
import { sortByMainline, sortByPower } from './order.ts'

export type Resolution =
  | { readonly kind: 'resolved'; readonly state: StateMap }
  | ({ readonly kind: 'need' } & Missing)

/**
 * The state that follows from several. Does not depend on the order of `stateSets`. No set gives the empty state.
 * spec: rooms/v12.md "State resolution"
 */
export function resolve(version: RoomVersion, stateSets: readonly StateMap[], view: AuthView): Resolution {
  const sets = [...new Set(stateSets)]
  const [first] = sets
  if (first === undefined) return { kind: 'resolved', state: new Map() }
  const differing = differingKeys(sets)
  if (differing.size === 0) return { kind: 'resolved', state: first }
  const lookup = createLookup(view)
  const state =
    version.stateResolution.by === 'depth'
      ? resolveByDepth(version, sets, differing, lookup)
      : resolveByAuth(version, sets, differing, lookup)
  const missing = lookup.missing()
  return missing === undefined ? { kind: 'resolved', state } : { kind: 'need', ...missing }
}

/** What it answers is worth nothing when `lookup` misses something. */
function resolveByAuth(
  version: RoomVersion,
  sets: readonly StateMap[],
  differing: ReadonlySet<StateKey>,
  lookup: Lookup,
): StateMap {
  const first: StateMap = sets[0] ?? new Map()
  const unconflicted = { get: (key: StateKey) => (differing.has(key) ? undefined : first.get(key)) }
  const full = fullConflictedSet(version, sets, differing, lookup)
  if (lookup.missing() !== undefined) return first
  const events = [...full].flatMap((id) => lookup.get(id) ?? [])
  const decided = new Map<StateKey, EventId>()
  const started = version.stateResolution.startsEmpty ? new Map<StateKey, EventId>() : unconflicted
  const state = { get: (key: StateKey) => decided.get(key) ?? started.get(key) }
  const decide = (sorted: readonly KnownEvent[]): void => {
    for (const event of sorted) {
      const key = stateKeyOf(event.pdu)
      if (key !== undefined && isAllowed(version, event, state, lookup)) decided.set(key, event.id)
    }
  }
  // Steps 1 and 2
  const chosen = withPowerEvents(events, lookup)
  decide(sortByPower(version, chosen, lookup))
  // Steps 3 and 4
  const chosenIds = new Set(chosen.map((event) => event.id))
  const rest = events.filter((event) => !chosenIds.has(event.id))
  const levelsId = state.get(POWER_LEVELS_KEY)
  const levels = levelsId === undefined ? undefined : lookup.get(levelsId)
  decide(sortByMainline(levels, rest, lookup))
  // Step 5
  const changes = new Map<StateKey, EventId | undefined>()
  for (const key of [...differing, ...decided.keys()]) {
    if (unconflicted.get(key) === undefined) changes.set(key, decided.get(key))
  }
  return changeState(first, changes)
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
  const powerful = events.filter(isPowerEvent)
  const chain = authChain(powerful, lowestOf(events, lookup), lookup)
  const chosen = new Set([...powerful.map(({ id }) => id), ...chain])
  return events.filter((event) => chosen.has(event.id))
}

/** spec: rooms/v12.md "Iterative auth checks" */
function isAllowed(
  version: RoomVersion,
  { pdu }: KnownEvent,
  state: Pick<StateMap, 'get'>,
  lookup: Lookup,
): boolean {
  return isAllowedIn(version, pdu, state, authEventState(pdu, lookup), lookup)
}
