import type { RoomId } from '../ids.ts'
import { authEventIds, type AuthFailure, type EventView, type KnownEvent, type Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { stateKeyOf, type StateKey } from '../state.ts'
import { breach } from './context.ts'
import { authStateKeys } from './selection.ts'

/** The create event of a room whose id is its hash. spec: rooms/v12.md "Authorisation rules" 2 */
export function checkRoom(version: RoomVersion, create: KnownEvent): AuthFailure | undefined {
  if (!version.roomIdIsCreateHash) return undefined
  if (create.pdu.type !== 'm.room.create') return breach(version, 'room', 'the room id names another event')
  return create.verdict === 'accepted' ? undefined : breach(version, 'room', 'the create event was rejected')
}

/**
 * The event's own `auth_events`, all of which `view` must hold. Numbers in comments are those of version 12.
 * spec: rooms/v12.md "Authorisation rules" 3, rooms/v11.md 2
 */
export function checkAuthEvents(
  version: RoomVersion,
  pdu: Pdu,
  roomId: RoomId,
  view: EventView,
): AuthFailure | undefined {
  const events = knownAuthEvents(pdu, view)
  // 3.1
  const seen = new Set<StateKey>()
  for (const { pdu: event } of events) {
    const key = stateKeyOf(event)
    if (key === undefined) continue
    if (seen.has(key))
      return breach(version, 'authEvents.duplicate', `two entries of type ${event.type} and one state key`)
    seen.add(key)
  }
  // 3.2
  const expected = new Set<StateKey | undefined>(authStateKeys(version, pdu))
  const stray = events.find(({ pdu: event }) => !expected.has(stateKeyOf(event)))
  if (stray !== undefined)
    return breach(version, 'authEvents.stray', `${stray.pdu.type} does not belong in auth_events`)
  // 3.3
  const rejected = events.find(({ verdict }) => verdict === 'rejected')
  if (rejected !== undefined) return breach(version, 'authEvents.rejected', `${rejected.id} was rejected`)
  // 2.4 of the versions before 12
  if (!version.roomIdIsCreateHash && !events.some(({ pdu: event }) => event.type === 'm.room.create')) {
    return breach(version, 'authEvents.noCreate', 'no m.room.create in auth_events')
  }
  // 3.5
  const foreign = events.find(({ pdu: event }) => event.room_id !== roomId)
  return foreign === undefined
    ? undefined
    : breach(version, 'authEvents.otherRoom', `${foreign.id} is of another room`)
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

function knownAuthEvents(pdu: Pdu, view: EventView): KnownEvent[] {
  return authEventIds(pdu).flatMap((id) => view.get(id) ?? [])
}
