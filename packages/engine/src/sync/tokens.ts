/**
 * Tokens of the Client-Server API. `s<position>_<serial>` stands after a position of the stream and a serial of what is
 * in memory only (typing, presence), `s<position>_<serial>_<toDevice>` where to-device messages lag behind; `t<order>` stands in a
 * room's timeline, after the event of that order. All are durable. Behind
 * a dot stands the number of an answer of sliding sync.
 */
import type { StreamPosition } from '../kernel/committer.ts'

export type SyncToken = {
  readonly position: StreamPosition
  readonly serial: number
  /** The to-device messages up to this position were delivered. */
  readonly toDevice: StreamPosition
}

/** Above every order and below what a key can hold. */
export const MAX_ORDER: number = 2 ** 50
export const MIN_ORDER: number = -MAX_ORDER

const SYNC = /^s([0-9]{1,15})(?:_([0-9]{1,15})(?:_([0-9]{1,15}))?(?:\.[0-9]{1,15})?)?$/
const TIMELINE = /^t(-?[0-9]{1,16})$/

export function formatSyncToken({ position, serial, toDevice }: SyncToken): string {
  const token = `s${position}_${serial}`
  return toDevice === position ? token : `${token}_${toDevice}`
}

export function parseSyncToken(text: string): SyncToken | undefined {
  const match = SYNC.exec(text)
  if (match === null) return undefined
  const position = Number(match[1])
  return {
    position,
    serial: Number(match[2] ?? 0),
    toDevice: Math.min(position, Number(match[3] ?? position)),
  }
}

export function formatTimelineToken(order: number): string {
  return `t${order}`
}

export function parseTimelineToken(text: string): number | undefined {
  const match = TIMELINE.exec(text)
  const order = match === null ? undefined : Number(match[1])
  return order === undefined || Math.abs(order) > MAX_ORDER ? undefined : order
}
