import type { EventId, RoomId } from '../ids.ts'
import type { AuthFailure, EventView, KnownEvent, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { stateKeyOf, type StateKey } from '../state.ts'
import { breach } from './context.ts'
import { authStateKeys } from './selection.ts'

/**
 * Rule 2: the create event of the room, as known here; `undefined` where it is unknown.
 * spec: rooms/v12.md "Authorisation rules" 2
 */
export function checkRoom(version: RoomVersion, create: KnownEvent): AuthFailure | undefined {
  if (create.pdu.type !== 'm.room.create')
    return breach(version, 'room', '', 'the room id names another event')
  return create.verdict === 'accepted'
    ? undefined
    : breach(version, 'room', '', 'the create event was rejected')
}

/**
 * Rule 3: the event's own `auth_events`, all of which `view` must hold. The list there has no 3.4.
 * spec: rooms/v12.md "Authorisation rules" 3
 */
export function checkAuthEvents(
  version: RoomVersion,
  pdu: Pdu,
  roomId: RoomId,
  view: EventView,
): AuthFailure | undefined {
  const fail = (number: string, reason: string): AuthFailure => breach(version, 'authEvents', number, reason)
  const events = knownAuthEvents(pdu, view)
  // 3.1
  const seen = new Set<StateKey | undefined>()
  for (const { pdu: event } of events) {
    const key = stateKeyOf(event)
    if (seen.has(key)) return fail('1', `two entries of type ${event.type} and one state key`)
    seen.add(key)
  }
  // 3.2
  const expected = new Set<StateKey | undefined>(authStateKeys(version, pdu))
  const stray = events.find(
    ({ pdu: event }) => event.state_key === undefined || !expected.has(stateKeyOf(event)),
  )
  if (stray !== undefined) return fail('2', `${stray.pdu.type} does not belong in auth_events`)
  // 3.3
  const rejected = events.find(({ verdict }) => verdict === 'rejected')
  if (rejected !== undefined) return fail('3', `${rejected.id} was rejected`)
  // 3.5
  const foreign = events.find(({ pdu: event }) => event.room_id !== roomId)
  return foreign === undefined ? undefined : fail('5', `${foreign.id} is of another room`)
}

/** The state that an event's `auth_events` make, without those that were rejected. */
export function authEventState(pdu: Pdu, view: EventView): ReadonlyMap<StateKey, Pdu> {
  const state = new Map<StateKey, Pdu>()
  for (const { pdu: event, verdict } of knownAuthEvents(pdu, view)) {
    const key = stateKeyOf(event)
    if (key !== undefined && verdict === 'accepted') state.set(key, event)
  }
  return state
}

/** The ids in `auth_events` that `view` lacks. */
export function missingAuthEvents(pdu: Pdu, view: EventView): readonly EventId[] {
  return pdu.auth_events.filter((id) => view.get(id) === undefined)
}

function knownAuthEvents(pdu: Pdu, view: EventView): KnownEvent[] {
  return pdu.auth_events.flatMap((id) => view.get(id) ?? [])
}
