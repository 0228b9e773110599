/** The newest events of a room that one `/sync` or one reader may see. */
import type { RoomId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { EventRecord, Rooms } from '../rooms/types.ts'
import { isIgnored } from '../users/unwanted.ts'
import type { EventFilter } from './filter.ts'
import { allows } from './filter.ts'
import { MAX_ORDER, MIN_ORDER } from './tokens.ts'
import type { Seen, Viewer, Visibility } from './visibility.ts'

/** Events of one room that are looked at for one timeline; the rest is left to `/messages`. */
export const MAX_TIMELINE_SCAN = 2_000

export type TimelineQuery = {
  readonly roomId: RoomId
  readonly viewer: Viewer
  /** Only events committed after this; 0 for all, history included. */
  readonly after: StreamPosition
  /** Only events committed up to here. */
  readonly upTo: StreamPosition
  /** Only events up to this order. */
  readonly maxOrder?: number
  readonly limit: number
  readonly filter: EventFilter
  readonly ignored: ReadonlySet<string>
}

export type RoomTimeline = {
  /** Oldest first. */
  readonly seen: readonly Seen[]
  /** There are older events that the query asked for. */
  readonly limited: boolean
  /** Where to go on backwards. */
  readonly before: number | undefined
}

export async function loadTimeline(
  deps: { readonly rooms: Rooms; readonly visibility: Visibility },
  query: TimelineQuery,
): Promise<RoomTimeline> {
  const { roomId, viewer, after, limit } = query
  // The order of an event that is not history is the position of its commit.
  const from = after === 0 ? MIN_ORDER : after
  const found: Seen[] = []
  let to = query.maxOrder ?? MAX_ORDER
  let scanned = 0
  const result = (limited: boolean): RoomTimeline => {
    const oldest = found.at(-1)?.record.order
    const before = oldest === undefined ? (scanned === 0 ? undefined : to) : oldest - 1
    return { seen: found.toReversed(), limited, before }
  }
  for (;;) {
    const page = await deps.rooms.timeline(roomId, { from, to, direction: 'b', limit: limit + 1 })
    const candidates: EventRecord[] = []
    let ended = page.next === undefined
    for (const record of page.events) {
      if (isOld(record, after)) {
        ended = true
        break
      }
      if (record.position <= query.upTo || isHistory(record)) candidates.push(record)
    }
    const seen = await deps.visibility.judge(viewer, candidates)
    for (const one of seen) {
      if (!one.visible || !passes(query, one.record)) continue
      if (limit === 0) return { seen: [], limited: true, before: one.record.order }
      if (found.length >= limit) return result(true)
      found.push(one)
    }
    scanned += Math.max(1, page.events.length)
    to = page.next ?? (page.events.at(-1)?.order ?? to) - 1
    if (ended) return result(false)
    if (scanned >= MAX_TIMELINE_SCAN) return result(true)
  }
}

/** Backfilled events are history at whatever time they came. */
function isHistory(record: EventRecord): boolean {
  return (record.order ?? 0) < 0
}

function isOld(record: EventRecord, after: StreamPosition): boolean {
  return after > 0 && record.position <= after
}

function passes({ filter, ignored }: TimelineQuery, { pdu }: EventRecord): boolean {
  if (isIgnored(ignored, pdu)) return false
  return allows(filter, pdu)
}
