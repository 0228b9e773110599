/**
 * PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}
 * PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}
 * https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room
 */
import { isJsonObject, ownValue, parseEventId } from '@plexus/core'
import type { JsonObject, RoomId } from '@plexus/core'
import type { NewEvent } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { accountSuspended, MatrixError, badJson } from '../../matrix-error.ts'
import { eventContent, eventId, roomId, shortText } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { reasonOf, withReason } from './common.ts'

export const send: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: v.object({ roomId, eventType: shortText, txnId: shortText }),
  bodySchema: eventContent,
  handler: ({ engine, requester, path, body }) =>
    sendOnce(engine, requester, path.roomId, path.eventType, body, path.txnId),
})

export const redact: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: v.object({ roomId, eventId, txnId: shortText }),
  bodySchema: withReason,
  async handler({ engine, requester, path, body }) {
    const { suspended } = await engine.users.moderation.restrictionsOf(requester.userId)
    const sender = suspended === true ? (await engine.rooms.event(path.eventId))?.pdu.sender : undefined
    // Own events alone. spec: client-server-api "Account suspension"
    if (suspended === true && sender !== requester.userId) throw accountSuspended()
    const content = { ...reasonOf(body.reason), redacts: path.eventId }
    return sendOnce(engine, requester, path.roomId, 'm.room.redaction', content, path.txnId)
  },
})

/**
 * A thread begins at an event that relates to nothing, and nobody annotates an event twice with the same key.
 * spec: client-server-api/modules/threading.md "Validation of m.thread relationships", event_annotations.md
 * "Avoiding duplicate annotations"
 */
async function checkRelation(engine: ApiEngine, event: NewEvent, roomId: RoomId): Promise<void> {
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

async function sendOnce(
  engine: ApiEngine,
  { userId, deviceId }: Requester,
  roomId: RoomId,
  type: string,
  content: JsonObject,
  txnId: string,
): Promise<JsonObject> {
  const redacts = type === 'm.room.redaction' ? ownValue(content, 'redacts') : undefined
  const target = typeof redacts === 'string' ? parseEventId(redacts) : undefined
  if (type === 'm.room.redaction' && target === undefined) throw badJson('redacts must be an event id')
  const event = { type, sender: userId, content, transaction: { deviceId, id: txnId } }
  await checkRelation(engine, event, roomId)
  const eventId = await engine.rooms.send(
    roomId,
    target === undefined ? event : { ...event, redacts: target },
  )
  return { event_id: eventId }
}
