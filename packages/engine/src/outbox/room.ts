/**
 * How much may wait for other servers. What one gets is a part of what is free of all: servers that are dead, and many,
 * could else fill the disk, or leave no room for those who are away for a day.
 */
import type { Destination } from './memory.ts'

type Target = Pick<Destination, 'waitingLength' | 'wasFull' | 'lastEdu'>

/**
 * JSON text of the durable EDUs that wait for all destinations, in UTF-16 code units; what is being committed may go
 * beyond.
 */
export const MAX_WAITING_LENGTH: number = 512 * 1024 * 1024
/** The part of it that is kept for destinations with little. */
const KEPT_SHARE = 1 / 2
/** What one destination may have of the rest that is free: of the default, 28 MiB where nothing else waits. */
const FREE_SHARE = 1 / 8
/** Less than this part of all is little: of the default, 64 KiB, so that what is kept is enough for 4,096 destinations. */
const LITTLE_SHARE = 1 / 8_192

export interface OutboxRoom {
  /** Length of all that waits. */
  readonly waitingLength: number
  /** No durable EDUs are to be queued for the destination, or for any. */
  isFull(target?: Target): boolean
  /** So much more waits for the destination. */
  add(target: Target, length: number): void
  /** The destination has so much of what waited. */
  taken(target: Target, length: number): void
  /** Calls back when a destination that was full has all that waited, and when there is room again after there was none. */
  onDrained(listener: () => void): void
}

export function createOutboxRoom(max: number = MAX_WAITING_LENGTH): OutboxRoom {
  const listeners = new Set<() => void>()
  let waitingLength = 0
  let wasFull = false
  const share = (): number =>
    Math.max((max * (1 - KEPT_SHARE) - waitingLength) * FREE_SHARE, max * LITTLE_SHARE)
  return {
    get waitingLength() {
      return waitingLength
    },
    isFull(target) {
      if (waitingLength >= max) {
        wasFull = true
        return true
      }
      if (target === undefined || target.waitingLength < share()) return false
      target.wasFull = true
      return true
    },
    add(target, length) {
      target.waitingLength += length
      waitingLength += length
    },
    taken(target, length) {
      target.waitingLength -= length
      waitingLength -= length
      const isDrained = target.wasFull && target.lastEdu === 0
      const isRoomAgain = wasFull && waitingLength < max
      if (isDrained) target.wasFull = false
      if (isRoomAgain) wasFull = false
      if (isDrained || isRoomAgain) for (const listener of listeners) listener()
    },
    onDrained: (listener) => void listeners.add(listener),
  }
}
