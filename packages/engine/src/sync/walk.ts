/** Walking a timeline in search of the events that a reader asked for and may see. */
import type { EventRecord, TimelinePage } from '../rooms/types.ts'
import type { ReaderParts } from './room-access.ts'
import type { Seen, Viewer } from './visibility.ts'

/** Events that one request looks at in search of those that it may show. */
export const MAX_READ_SCAN = 2_000
/** Events read at once, however few are wanted: most of a timeline is of no interest to a search. */
const MIN_READ = 50

export type Direction = 'f' | 'b'

export type WalkRange = {
  /** Exclusive below, inclusive above. */
  readonly from: number
  readonly to: number
  readonly direction: Direction
  readonly limit: number
}

export type Walk = WalkRange & {
  /** The events to walk through. */
  readonly read: (range: WalkRange) => Promise<TimelinePage>
  readonly viewer: Viewer
  readonly accepts: (record: EventRecord) => boolean
  /** Fetches older history; undefined where that is not wanted. */
  readonly more?: (before: number) => Promise<void>
}

/** Walks the timeline until `limit` events are found; `next` is where to go on, absent at the end. */
export async function walk(
  { visibility }: Pick<ReaderParts, 'visibility'>,
  { read, viewer, direction, from, to, limit, accepts, more }: Walk,
): Promise<{ found: readonly Seen[]; next: number | undefined }> {
  const found: Seen[] = []
  let at = direction === 'b' ? to : from
  let asked = false
  for (let scanned = 0; scanned < MAX_READ_SCAN;) {
    const range = direction === 'b' ? { from, to: at } : { from: at, to }
    const { events, next } = await read({ ...range, direction, limit: Math.max(limit, MIN_READ) })
    const seen = await visibility.judge(viewer, events)
    for (const one of seen) {
      const order = one.record.order ?? 0
      at = direction === 'b' ? order - 1 : order
      if (!one.visible || !accepts(one.record)) continue
      found.push(one)
      if (found.length >= limit) return { found, next: at }
    }
    scanned += Math.max(1, events.length)
    if (next !== undefined) {
      at = next
      continue
    }
    if (more === undefined || (asked && events.length === 0)) return { found, next: undefined }
    await more(at)
    asked = true
  }
  return { found, next: at }
}
