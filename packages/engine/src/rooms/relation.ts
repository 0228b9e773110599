/** Relationships between events. spec: client-server-api/_index.md "Forming relationships between events" */
import { isJsonObject, ownValue, parseEventId } from '@plexus/core'
import type { EventId, Pdu, RoomId } from '@plexus/core'
import type { Write } from '../ports.ts'
import { relations, timelines } from './records.ts'

export type Relation = { readonly type: string; readonly eventId: EventId }

/** What a message event says that it relates to; state events relate to nothing. */
export function relationOf(pdu: Pdu): Relation | undefined {
  const relation = pdu.state_key === undefined ? ownValue(pdu.content, 'm.relates_to') : undefined
  if (!isJsonObject(relation)) return undefined
  const type = ownValue(relation, 'rel_type')
  const id = ownValue(relation, 'event_id')
  const eventId = typeof id === 'string' ? parseEventId(id) : undefined
  return typeof type !== 'string' || eventId === undefined ? undefined : { type, eventId }
}

/** The writes that give an event its place in the timeline, and among those that relate to the same event. */
export function placeWrites(roomId: RoomId, order: number, id: EventId, pdu: Pdu): readonly Write[] {
  const relation = relationOf(pdu)
  return [
    timelines.put([roomId, order], id),
    ...(relation === undefined ? [] : [relations.put([roomId, relation.eventId, order], id)]),
  ]
}
