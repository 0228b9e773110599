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
 *
 * Where the text leaves it open, this does what the servers do that rooms of this version are shared with: memberships
 * do not see each other's resolution, and where nothing is allowed the event of least depth stands.
 */
export function resolveByDepth(
  version: RoomVersion,
  sets: readonly StateMap[],
  differing: ReadonlySet<StateKey>,
  lookup: Lookup,
): StateMap {
  const state = new Map(sets[0])
  const conflicts = new Map<StateKey, readonly Candidate[]>()
  for (const key of differing) {
    const ids = [...new Set(sets.flatMap((set) => set.get(key) ?? []))]
    state.delete(key)
    const [only, ...others] = ids
    if (only !== undefined && others.length === 0) state.set(key, only)
    else conflicts.set(key, candidates(ids, lookup))
  }
  const members = [...conflicts.keys()].filter((key) => splitStateKey(key)[0] === 'm.room.member')
  for (const keys of [[POWER_LEVELS_KEY], [JOIN_RULES_KEY], members]) {
    const decided = new Map(state)
    for (const key of keys) {
      const id = lastAllowed(version, decided, key, conflicts.get(key) ?? [], lookup)
      if (id !== undefined) state.set(key, id)
      conflicts.delete(key)
    }
  }
  const decided = new Map(state)
  for (const [key, events] of conflicts) {
    const allowed = events.findLast(({ event }) => isAllowedIn(version, event.pdu, decided, NOTHING, lookup))
    const best = allowed ?? events[0]
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
function lastAllowed(
  version: RoomVersion,
  decided: StateMap,
  key: StateKey,
  events: readonly Candidate[],
  lookup: Lookup,
): EventId | undefined {
  const state = new Map(decided)
  for (const [index, { event }] of events.entries()) {
    if (index > 0 && !isAllowedIn(version, event.pdu, state, NOTHING, lookup)) break
    state.set(key, event.id)
  }
  return state.get(key)
}
