/** Which thread an event belongs to. spec: client-server-api/modules/receipts.md "Threaded read receipts" */
import type { Pdu } from '@plexus/core'
import { relationOf } from '../rooms/relation.ts'
import type { Rooms } from '../rooms/types.ts'

export const MAIN_THREAD = 'main'
/** Relations that are followed to find a thread. */
const MAX_THREAD_HOPS = 3

/** The root of the event's thread, or `main`. */
export async function threadOf(rooms: Pick<Rooms, 'event'>, pdu: Pdu): Promise<string> {
  let relation = relationOf(pdu)
  for (let hop = 0; hop < MAX_THREAD_HOPS && relation !== undefined; hop += 1) {
    if (relation.type === 'm.thread') return relation.eventId
    const parent = await rooms.event(relation.eventId)
    relation = parent === undefined ? undefined : relationOf(parent.pdu)
  }
  return relation?.type === 'm.thread' ? relation.eventId : MAIN_THREAD
}
