/** What the endpoints of ephemeral share. */
import type { EventId, RoomId } from '@plexus/core'
import type { ApiEngine, Requester } from '../../services.ts'

export const MARKERS = ['m.fully_read', 'm.read', 'm.read.private'] as const

export type Marker = (typeof MARKERS)[number]

export async function mark(
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
