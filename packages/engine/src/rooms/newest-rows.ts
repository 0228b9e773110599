/**
 * The newest rows of the rooms' timelines, as they were committed since this process began: what `/sync` asks for when
 * it wakes.
 * Invariant: of a room that it knows, it has all rows from the first that it has.
 */
import type { EventId, RoomId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { RangeOptions } from '../ports.ts'
import type { EventRecord } from './types.ts'

/** Rooms whose newest rows are kept. */
export const MAX_NEWEST_ROOMS = 256
/** Rows kept of each, and at most as many again. */
export const MAX_NEWEST_ROWS = 64

export type TimelineRow = readonly [key: readonly [RoomId, number], id: EventId]

export interface NewestRows {
  /** An event is committed. To be called in the order of commits. */
  add(record: EventRecord): void
  /** An event lost its place, if it had one. */
  remove(record: EventRecord): void
  /** The rows whose order is in [from, to); `undefined` when the store must be asked. */
  range(roomId: RoomId, from: number, to: number, options: RangeOptions): readonly TimelineRow[] | undefined
  clear(): void
}

export function createNewestRows(): NewestRows {
  const rooms = createLru<RoomId, TimelineRow[]>(MAX_NEWEST_ROOMS)
  return {
    add({ id, roomId, order }) {
      if (order === undefined || order < 0) return
      const rows = rooms.get(roomId)
      const last = rows?.at(-1)
      const row: TimelineRow = [[roomId, order], id]
      if (rows === undefined || last === undefined) rooms.set(roomId, [row])
      // An event that has its place is committed again when it is redacted.
      else if (order > last[0][1]) rows.push(row)
      if (rows !== undefined && rows.length >= 2 * MAX_NEWEST_ROWS) rows.splice(0, MAX_NEWEST_ROWS)
    },
    remove({ id, roomId }) {
      const rows = rooms.get(roomId)
      const index = rows?.findIndex(([, other]) => other === id) ?? -1
      if (index >= 0) rows?.splice(index, 1)
    },
    range(roomId, from, to, { limit, reverse = false }) {
      const rows = rooms.get(roomId)
      const first = rows?.[0]
      if (rows === undefined || first === undefined || from < first[0][1]) return undefined
      const found = rows.filter(([[, order]]) => order >= from && order < to)
      return (reverse ? found.toReversed() : found).slice(0, limit)
    },
    clear: () => rooms.clear(),
  }
}
