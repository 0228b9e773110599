/** What the endpoints of send share. */
import { isJsonObject, ownValue, parseEventId } from '@plexus/core'
import type { JsonObject, RoomId } from '@plexus/core'
import type { AppService, NewEvent } from '@plexus/engine'
import { MatrixError, badJson } from '../../matrix-error.ts'
import type { ApiEngine, Requester } from '../../services.ts'

/**
 * A thread begins at an event that relates to nothing, and nobody annotates an event twice with the same key.
 * spec: client-server-api/modules/threading.md "Validation of m.thread relationships", event_annotations.md
 * "Avoiding duplicate annotations"
 */
export async function checkRelation(engine: ApiEngine, event: NewEvent, roomId: RoomId): Promise<void> {
  const relation = ownValue(event.content, 'm.relates_to')
  const id = isJsonObject(relation) ? ownValue(relation, 'event_id') : undefined
  const parent = typeof id === 'string' ? parseEventId(id) : undefined
  if (parent === undefined || !isJsonObject(relation)) return
  const kind = ownValue(relation, 'rel_type')
  if (kind === 'm.thread' && (await engine.reader.relatesToAnother(parent))) {
    throw new MatrixError(400, 'M_UNKNOWN', 'a thread cannot begin at an event that relates to another')
  }
  const key = ownValue(relation, 'key')
  if (kind !== 'm.annotation' || typeof key !== 'string') return
  if (await engine.reader.hasAnnotated(roomId, event, parent, key)) {
    throw new MatrixError(400, 'M_DUPLICATE_ANNOTATION', 'you have annotated this event so already')
  }
}

/** Without a transaction id every request is one of its own. */
export async function sendOnce(
  engine: ApiEngine,
  { userId, deviceId }: Requester,
  roomId: RoomId,
  txnId: string | undefined,
  sent: Pick<NewEvent, 'type' | 'content' | 'originServerTs'>,
): Promise<JsonObject> {
  const { type, content } = sent
  const redacts = type === 'm.room.redaction' ? ownValue(content, 'redacts') : undefined
  const target = typeof redacts === 'string' ? parseEventId(redacts) : undefined
  if (type === 'm.room.redaction' && target === undefined) throw badJson('redacts must be an event id')
  const event = {
    ...sent,
    sender: userId,
    ...(txnId === undefined ? {} : { transaction: { deviceId, id: txnId } }),
  }
  await checkRelation(engine, event, roomId)
  engine.presence.active(userId)
  const eventId = await engine.rooms.send(
    roomId,
    target === undefined ? event : { ...event, redacts: target },
  )
  return { event_id: eventId }
}

/** Only application services may say when an event was. spec: application-service-api.md "Timestamp massaging" */
export function timestampOf(
  service: AppService | undefined,
  { ts }: { readonly ts?: number | undefined },
): Pick<NewEvent, 'originServerTs'> {
  return service === undefined || ts === undefined ? {} : { originServerTs: ts }
}
