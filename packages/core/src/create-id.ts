import { createEventIdOf } from './hash.ts'
import type { EventId } from './ids.ts'
import type { Pdu } from './pdu.ts'
import type { RoomVersion } from './room-version.ts'

/** The create event of the room that an event is in; `undefined` for a create event itself. */
export function createIdOf(version: RoomVersion, pdu: Pdu): EventId | undefined {
  return version.roomIdIsCreateHash && pdu.room_id !== undefined ? createEventIdOf(pdu.room_id) : undefined
}
