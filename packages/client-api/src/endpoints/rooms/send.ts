/**
 * PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}
 * PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}
 * https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room
 */
import type { JsonObject, RoomId } from '@plexus/core'
import { ownValue, parseEventId } from '@plexus/core'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { badJson } from '../../matrix-error.ts'
import { eventContent, eventId, roomId, shortText } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { reasonOf, withReason } from './common.ts'

export const send: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}',
  auth: 'user',
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
  handler: ({ engine, requester, path, body }) => {
    const content = { ...reasonOf(body.reason), redacts: path.eventId }
    return sendOnce(engine, requester, path.roomId, 'm.room.redaction', content, path.txnId)
  },
})

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
  const eventId = await engine.rooms.send(
    roomId,
    target === undefined ? event : { ...event, redacts: target },
  )
  return { event_id: eventId }
}
