/** The event of a timeline that is nearest to a time. spec: server-server-api.md GET /timestamp_to_event */
import type { RoomId } from '@plexus/core'
import { LOWEST_ORDER } from './read.ts'
import type { EventRecord, Rooms } from './types.ts'

/** Events looked at, from the newest on. */
export const MAX_TIME_SCAN = 2_000
const HIGHEST_ORDER = -LOWEST_ORDER
const PAGE = 100

export type AtTime = { readonly roomId: RoomId; readonly ts: number; readonly direction: 'f' | 'b' }

/** From the newest back: `b` wants the first that is old enough, `f` the last that is not too old. */
export async function eventAtTime(
  rooms: Pick<Rooms, 'timeline'>,
  { roomId, ts, direction }: AtTime,
  readable: (events: readonly EventRecord[]) => Promise<readonly EventRecord[]>,
): Promise<EventRecord | undefined> {
  let best: EventRecord | undefined
  let to = HIGHEST_ORDER
  for (let scanned = 0; scanned < MAX_TIME_SCAN;) {
    const page = await rooms.timeline(roomId, { from: LOWEST_ORDER, to, direction: 'b', limit: PAGE })
    for (const record of await readable(page.events)) {
      const { origin_server_ts: sent } = record.pdu
      if (direction === 'b' && sent <= ts) return record
      if (direction === 'f' && sent >= ts) best = record
      if (direction === 'f' && sent < ts && best !== undefined) return best
    }
    scanned += Math.max(1, page.events.length)
    if (page.next === undefined) break
    to = page.next
  }
  return best
}
