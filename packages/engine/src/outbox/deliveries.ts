/** How far own events have got. */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import type { Outbox } from '../outbox-types.ts'
import type { Delivery, Store } from '../ports.ts'
import type { CursorRecord } from '../rooms/records.ts'
import { events, sent } from '../rooms/records.ts'
import type { MailState, OutboxMemory } from './memory.ts'

/** Own events counted or announced at once. */
const MAX_COUNTED = 1_000

export type Moved = { readonly roomId: RoomId; readonly from: number; readonly to: number }

export interface Deliveries extends Pick<Outbox, 'delivery' | 'watch' | 'waiting'> {
  /** An own event was committed, or a destination has it. */
  announce(roomId: RoomId, eventId: EventId, position: number): void
  /** A destination has the own events between two positions, or they are at its relays. */
  moved(steps: readonly Moved[]): Promise<void>
}

export function createDeliveries(deps: {
  store: Store
  ownName: ServerName
  memory: OutboxMemory
}): Deliveries {
  const { store, memory } = deps
  const watchers = new Set<(delivery: Delivery) => void>()

  const deliveryOf = (roomId: RoomId, eventId: EventId, position: number): Delivery => {
    const receivers = memory.destinationsOf(roomId).flatMap(({ rooms, mail }) => {
      const record = rooms.get(roomId)
      return record !== undefined && isReceiver(record, position) ? [{ cursor: record.cursor, mail }] : []
    })
    const lacking = receivers.filter(({ cursor }) => cursor < position)
    const delivered = receivers.length - lacking.length
    const atRelay = lacking.filter(({ mail }) => isMailed(mail, roomId, position)).length
    return { eventId, roomId, delivered, atRelay, members: receivers.length }
  }

  const announce = (roomId: RoomId, eventId: EventId, position: number): void => {
    if (watchers.size === 0) return
    const delivery = deliveryOf(roomId, eventId, position)
    for (const watcher of watchers) watcher(delivery)
  }

  return {
    announce,
    async moved(steps) {
      if (watchers.size === 0) return
      for (const { roomId, from, to } of steps) {
        const rows = await sent.range(store, [roomId], from + 1, to + 1, { limit: MAX_COUNTED })
        for (const [[, position], id] of rows) announce(roomId, id, position)
      }
    },
    async delivery(roomId, eventId) {
      const record = await events.get(store, [eventId])
      const isOwn = record?.roomId === roomId && serverOf(record.pdu.sender) === deps.ownName
      return isOwn && record.order !== undefined ? deliveryOf(roomId, eventId, record.order) : undefined
    },
    watch(listener) {
      watchers.add(listener)
      return () => watchers.delete(listener)
    },
    async waiting() {
      let count = 0
      for (const [roomId, top] of memory.newest) {
        const receivers = memory.destinationsOf(roomId).flatMap(({ rooms }) => rooms.get(roomId) ?? [])
        const behind = receivers.filter(({ cursor, until = top }) => cursor < Math.min(top, until))
        if (behind.length === 0) continue
        const lowest = Math.min(...behind.map(({ cursor }) => cursor))
        const rows = await sent.range(store, [roomId], lowest + 1, top + 1, { limit: MAX_COUNTED })
        for (const [[, position], id] of rows) {
          const { delivered, atRelay, members } = deliveryOf(roomId, id, position)
          if (members > 0 && delivered + atRelay === 0) count += 1
        }
      }
      return count
    },
  }
}

/** True when a mail with the own event at `position` waits at a relay. */
function isMailed({ rows }: MailState, roomId: RoomId, position: number): boolean {
  for (const { rooms } of rows.values())
    if (rooms.some((room) => room.roomId === roomId && room.from < position && position <= room.to))
      return true
  return false
}

/** True when an own event at `position` is for this destination. */
function isReceiver(record: CursorRecord, position: number): boolean {
  return record.start < position && (record.until === undefined || position <= record.until)
}
