import { sha1 } from '@noble/hashes/legacy.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { EventId } from '../ids.ts'
import type { KnownEvent, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { JOIN_RULES_KEY, POWER_LEVELS_KEY, splitStateKey, type StateKey, type StateMap } from '../state.ts'
import { isAllowedIn } from './allowed.ts'
import type { Lookup } from './graph.ts'

/** Auth events of its own do not count where the state has none. */
const NOTHING: ReadonlyMap<StateKey, Pdu> = new Map()

type Candidate = { readonly event: KnownEvent; readonly hash: string }

/**
 * State resolution of room version 1. A place that only some states have does not conflict. What is missing is noted in
 * `lookup`. spec: rooms/v1.md "State resolution"
 */
export function resolveByDepth(
  version: RoomVersion,
  sets: readonly StateMap[],
  differing: ReadonlySet<StateKey>,
  lookup: Lookup,
): StateMap {
  const state = new Map(sets[0])
  const conflicts = new Map<StateKey, readonly Candidate[]>()
  for (const key of [...differing].sort()) {
    const ids = [...new Set(sets.flatMap((set) => set.get(key) ?? []))]
    state.delete(key)
    const [only, ...others] = ids
    if (only !== undefined && others.length === 0) state.set(key, only)
    else conflicts.set(key, candidates(ids, lookup))
  }
  const members = [...conflicts.keys()].filter((key) => splitStateKey(key)[0] === 'm.room.member')
  for (const key of [POWER_LEVELS_KEY, JOIN_RULES_KEY, ...members]) {
    takeWhileAllowed(version, state, key, conflicts.get(key) ?? [], lookup)
    conflicts.delete(key)
  }
  // No other events affect the auth rules, so that their order means nothing.
  const decided = new Map(state)
  for (const [key, events] of conflicts) {
    const best = events.findLast(({ event }) => isAllowedIn(version, event.pdu, decided, NOTHING, lookup))
    if (best !== undefined) state.set(key, best.event.id)
  }
  return state
}

/** By ascending depth, then descending hash. */
function candidates(ids: readonly EventId[], lookup: Lookup): readonly Candidate[] {
  const events = ids.flatMap((id) => lookup.get(id) ?? [])
  return events
    .map((event) => ({ event, hash: bytesToHex(sha1(utf8ToBytes(event.id))) }))
    .sort((a, b) => a.event.pdu.depth - b.event.pdu.depth || (a.hash < b.hash ? 1 : -1))
}

/** The first stands in any case; each other replaces the one before, up to the first that is not allowed. */
function takeWhileAllowed(
  version: RoomVersion,
  state: Map<StateKey, EventId>,
  key: StateKey,
  events: readonly Candidate[],
  lookup: Lookup,
): void {
  for (const [index, { event }] of events.entries()) {
    if (index > 0 && !isAllowedIn(version, event.pdu, state, NOTHING, lookup)) return
    state.set(key, event.id)
  }
}
