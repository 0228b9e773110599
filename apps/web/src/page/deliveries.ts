/** How far own events have got: told by the node while they move, asked for when an older one is shown. */
import { parseEventId, parseRoomId } from '@plexus/core'
import type { Delivery } from '@plexus/engine/ports'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'

/** Events remembered; the oldest go first and are asked for again. */
const MAX_REMEMBERED = 5_000

export interface Deliveries {
  /** What is known; asks the node when it is nothing. `null`: no event that this node sent. */
  get(roomId: string, eventId: string): Delivery | null | undefined
  told(delivery: Delivery): void
}

/** `changed` is called with the room of each change. */
export function createDeliveries(node: Bridge<NodeApi>, changed: (roomId: string) => void): Deliveries {
  const known = new Map<string, Delivery | null | undefined>()

  const keep = (eventId: string, delivery: Delivery | null | undefined): void => {
    known.delete(eventId)
    known.set(eventId, delivery)
    if (known.size <= MAX_REMEMBERED) return
    for (const oldest of known.keys()) {
      known.delete(oldest)
      return
    }
  }

  const ask = async (room: string, event: string): Promise<void> => {
    const roomId = parseRoomId(room)
    const eventId = parseEventId(event)
    if (roomId === undefined || eventId === undefined) return
    const delivery = await node.call('delivery', { roomId, eventId })
    // What was told in the meantime is newer.
    if (known.get(event) !== undefined) return
    keep(event, delivery ?? null)
    changed(room)
  }

  return {
    get(roomId, eventId) {
      if (!known.has(eventId)) {
        keep(eventId, undefined)
        ask(roomId, eventId).catch((error: unknown) => console.debug('plexus: no delivery state', error))
      }
      return known.get(eventId)
    },
    told(delivery) {
      keep(delivery.eventId, delivery)
      changed(delivery.roomId)
    },
  }
}
