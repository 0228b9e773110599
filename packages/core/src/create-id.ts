import { createEventIdOf } from './hash.ts'
import type { EventId } from './ids.ts'
import { authEventIds, type EventView, type KnownEvent, type Pdu } from './pdu.ts'
import type { RoomVersion } from './room-version.ts'

/** True for an event that a room begins with. */
export function startsRoom(version: RoomVersion, pdu: Pdu): boolean {
  return version.roomIdIsCreateHash ? pdu.room_id === undefined : pdu.type === 'm.room.create'
}

/**
 * The create event of the room that an event is in, where the room's id is its hash; `undefined` for a create event
 * itself, and where it is one of the auth events.
 */
export function createIdOf(version: RoomVersion, pdu: Pdu): EventId | undefined {
  return version.roomIdIsCreateHash && pdu.room_id !== undefined ? createEventIdOf(pdu.room_id) : undefined
}

/** What must be known before an event can be judged: its auth events, and the create event where it is none of them. */
export function judgedBy(version: RoomVersion, pdu: Pdu): readonly EventId[] {
  const create = createIdOf(version, pdu)
  return create === undefined ? authEventIds(pdu) : [create, ...authEventIds(pdu)]
}

/** The create event of the room that an event is in, if `view` has it; `undefined` for a create event itself. */
export function createOf(version: RoomVersion, pdu: Pdu, view: EventView): KnownEvent | undefined {
  const id = createIdOf(version, pdu)
  if (id !== undefined) return view.get(id)
  for (const authId of authEventIds(pdu)) {
    const event = view.get(authId)
    if (event?.pdu.type === 'm.room.create') return event
  }
  return undefined
}
