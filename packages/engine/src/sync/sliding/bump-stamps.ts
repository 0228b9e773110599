/** When something "proper" last happened in a room. spec: proposals/4186 "bump_stamp" */
import type { RoomId } from '@plexus/core'
import { createLru } from '../../kernel/lru.ts'
import type { RoomSnapshot, Rooms } from '../../rooms/types.ts'
import { MAX_ORDER } from '../tokens.ts'

const BUMPS: ReadonlySet<string> = new Set([
  'm.room.create',
  'm.room.message',
  'm.room.encrypted',
  'm.sticker',
  'm.call.invite',
  'm.poll.start',
  'm.beacon_info',
])
/** Rooms whose stamps are kept in memory. */
const MAX_STAMPS = 2_000
/** Newest events that are looked at; without one among them a room keeps the stamp of before. */
export const MAX_BUMP_SCAN = 200

export interface BumpStamps {
  of(snapshot: RoomSnapshot, joinedAt: number): Promise<number>
}

export function createBumpStamps(rooms: Pick<Rooms, 'timeline'>): BumpStamps {
  const known = createLru<RoomId, { readonly upTo: number; readonly stamp: number | undefined }>(MAX_STAMPS)
  return {
    async of({ roomId, lastPosition }, joinedAt) {
      const before = known.get(roomId)
      if (before?.upTo === lastPosition) return before.stamp ?? joinedAt
      // Orders of what is not history are positions.
      const from = before?.upTo ?? -1
      const range = { from, to: MAX_ORDER, direction: 'b', limit: MAX_BUMP_SCAN } as const
      const { events } = await rooms.timeline(roomId, range)
      const newest = events.find(({ pdu }) => BUMPS.has(pdu.type))
      const stamp = newest?.position ?? before?.stamp
      known.set(roomId, { upTo: lastPosition, stamp })
      return stamp ?? joinedAt
    },
  }
}
