/** Which thread an event belongs to. spec: client-server-api/modules/receipts.md "Threaded read receipts" */
import { isJsonObject, ownValue, parseEventId } from '@plexus/core'
import type { EventId, Pdu } from '@plexus/core'
import type { Rooms } from '../rooms/types.ts'

export const MAIN_THREAD = 'main'
/** Relations that are followed to find a thread. */
const MAX_THREAD_HOPS = 3

export type Relation = { readonly type: string; readonly eventId: EventId }

/** spec: client-server-api/_index.md "Forming relationships between events" */
export function relationOf(pdu: Pdu): Relation | undefined {
  const relation = ownValue(pdu.content, 'm.relates_to')
  if (!isJsonObject(relation)) return undefined
  const type = ownValue(relation, 'rel_type')
  const id = ownValue(relation, 'event_id')
  const eventId = typeof id === 'string' ? parseEventId(id) : undefined
  return typeof type !== 'string' || eventId === undefined ? undefined : { type, eventId }
}

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
