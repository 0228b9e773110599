/**
 * POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}
 * POST /_matrix/client/v3/rooms/{roomId}/read_markers
 * PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}
 * https://spec.matrix.org/v1.19/client-server-api/#receipts
 */
import type { EventId, RoomId } from '@plexus/core'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden, invalidParam } from '../../matrix-error.ts'
import { eventId, roomId, userId } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { inRoom } from './common.ts'

const MARKERS = ['m.fully_read', 'm.read', 'm.read.private'] as const
type Marker = (typeof MARKERS)[number]
const DEFAULT_TYPING_MS = 30_000

async function mark(
  engine: ApiEngine,
  { userId }: Requester,
  roomId: RoomId,
  type: Marker,
  eventId: EventId,
  thread?: string,
): Promise<void> {
  if (type === 'm.fully_read') return engine.readMarkers.setFullyRead(userId, roomId, eventId)
  return engine.receipts.set(userId, roomId, { type, eventId, ...(thread === undefined ? {} : { thread }) })
}

export const receipt: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}',
  auth: 'user',
  pathSchema: v.object({ roomId, receiptType: v.picklist(MARKERS), eventId }),
  bodySchema: v.object({ thread_id: v.optional(v.unknown()) }),
  handler: async ({ engine, requester, path, body }) => {
    const thread = body.thread_id
    if (thread !== undefined && (typeof thread !== 'string' || thread === '')) {
      throw invalidParam('thread_id must be a non-empty string')
    }
    if (thread !== undefined && path.receiptType === 'm.fully_read') {
      throw invalidParam('m.fully_read has no threads')
    }
    if (thread !== undefined && !(await engine.reader.isInThread(path.eventId, thread))) {
      throw invalidParam('the event is not in this thread')
    }
    await mark(engine, requester, path.roomId, path.receiptType, path.eventId, thread)
    return {}
  },
})

export const readMarkers: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/read_markers',
  auth: 'user',
  pathSchema: inRoom,
  bodySchema: v.object({
    'm.fully_read': v.optional(eventId),
    'm.read': v.optional(eventId),
    'm.read.private': v.optional(eventId),
  }),
  handler: async ({ engine, requester, path, body }) => {
    for (const type of MARKERS) {
      const id = body[type]
      if (id !== undefined) await mark(engine, requester, path.roomId, type, id)
    }
    return {}
  },
})

export const typing: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/typing/{userId}',
  auth: 'user',
  pathSchema: v.object({ roomId, userId }),
  bodySchema: v.object({ typing: v.boolean(), timeout: v.optional(v.number()) }),
  handler: async ({ engine, requester, path, body }) => {
    if (path.userId !== requester.userId) throw forbidden('nobody types for somebody else')
    await engine.typing.set(requester.userId, path.roomId, body.typing, body.timeout ?? DEFAULT_TYPING_MS)
    return {}
  },
})
