/**
 * Members that the state of a room lacks while it is partial: until the state is whole, an event is checked against the
 * member events that it names itself, which were checked as any. Who is found that way is a member from then on, as far
 * as is known.
 */
import type { EventId, Pdu, StateKey, StateMap } from '@plexus/core'
import { authEventIds, changeState, stateKeyOf } from '@plexus/core'
import type { Case } from './case.ts'
import { lacksMembers, memberOf } from './copy.ts'
import type { EventRecord } from './types.ts'

/** Adds to a state the members that an event names and the state lacks. The same state gives the same answer. */
export function memberFiller({
  copy,
  event,
  view,
}: Pick<Case, 'copy' | 'event' | 'view'>): <T extends StateMap | undefined>(state: T) => T | StateMap {
  if (copy === undefined || !lacksMembers(copy)) return (state) => state
  const named = membersNamedBy(event.pdu, view)
  const filled = new Map<StateMap, StateMap>()
  return (state) => {
    if (state === undefined) return state
    const known = filled.get(state) ?? withMembers(state, named)
    filled.set(state, known)
    return known
  }
}

/** `view` holds the auth events. */
export function membersNamedBy(
  pdu: Pdu,
  view: { get(id: EventId): Pick<EventRecord, 'pdu' | 'verdict'> | undefined },
): ReadonlyMap<StateKey, EventId> {
  const named = new Map<StateKey, EventId>()
  for (const id of authEventIds(pdu)) {
    const known = view.get(id)
    const key = known === undefined || known.verdict === 'rejected' ? undefined : stateKeyOf(known.pdu)
    if (key !== undefined && memberOf(key) !== undefined) named.set(key, id)
  }
  return named
}

export function withMembers(state: StateMap, named: ReadonlyMap<StateKey, EventId>): StateMap {
  const lacking = [...named].filter(([key]) => !state.has(key))
  return lacking.length === 0 ? state : changeState(state, new Map(lacking))
}
