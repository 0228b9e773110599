/** Which thread an event belongs to. spec: client-server-api/modules/receipts.md "Threaded read receipts" */
import type { Pdu } from '@plexus/core'
import { relationOf } from '../rooms/relation.ts'
import type { Relation } from '../rooms/relation.ts'
import type { Rooms } from '../rooms/types.ts'

export const MAIN_THREAD = 'main'
/** Relations that are followed from the one of an event. */
const MAX_THREAD_HOPS = 3

/** The root of the event's thread, or `main`. */
export async function threadOf(rooms: Pick<Rooms, 'event'>, pdu: Pdu): Promise<string> {
  for await (const { type, eventId } of relationsOf(rooms, pdu)) if (type === 'm.thread') return eventId
  return MAIN_THREAD
}

/** Whether relations of whatever kind lead from the event to the other one. */
export async function leadsTo(rooms: Pick<Rooms, 'event'>, pdu: Pdu, target: string): Promise<boolean> {
  for await (const { eventId } of relationsOf(rooms, pdu)) if (eventId === target) return true
  return false
}

/** The relation of the event, that of its parent, and so on. */
async function* relationsOf(rooms: Pick<Rooms, 'event'>, pdu: Pdu): AsyncGenerator<Relation, void> {
  let relation = relationOf(pdu)
  for (let hop = 0; relation !== undefined; hop += 1) {
    yield relation
    if (hop === MAX_THREAD_HOPS) return
    const parent = await rooms.event(relation.eventId)
    relation = parent === undefined ? undefined : relationOf(parent.pdu)
  }
}
