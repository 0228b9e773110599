/**
 * Decisions that were made on a state without its members, or on one that nobody confirmed, and what becomes of their
 * events when it is known.
 */
import type { EventId } from '@plexus/core'
import type { Change } from '../kernel/committer.ts'
import type { Write } from '../ports.ts'
import { forgetWrites } from '../search/postings.ts'
import { authChildWrites } from './auth-graph.ts'
import type { RoomCopy } from './copy.ts'
import { events, provisional } from './records.ts'
import { placeWrites } from './relation.ts'
import type { RoomDeps } from './room.ts'
import type { EventRecord } from './types.ts'

/** Remembers an event that is to be decided again. */
export function provisionalWrites(copy: RoomCopy | undefined, position: number, id: EventId): Write[] {
  return copy?.partial === undefined ? [] : [provisional.put([copy.roomId, position], id)]
}

/** Keeps records of a change; `adopt` is for when it is committed. */
export function finisher(store: RoomDeps['events']): {
  readonly finish: (record: EventRecord) => Write
  readonly adopt: () => void
} {
  const finals: EventRecord[] = []
  return {
    finish(record) {
      finals.push(record)
      store.stage(record)
      return events.put([record.id], record)
    },
    adopt() {
      for (const record of finals) store.adopt(record)
    },
  }
}

/**
 * Keeps what is decided about an event in place of what was: an accepted one has its place still, or gets one; a refused
 * one loses it. `draft` has the earlier place.
 */
export function decidedAgain(
  deps: Pick<RoomDeps, 'events'>,
  before: EventRecord,
  draft: EventRecord,
  more: () => readonly Write[],
): Change {
  const { roomId, id } = before
  const isShown = draft.verdict === 'accepted'
  let final = draft
  return {
    writes: (position) => {
      const { order, ...unplaced } = withContentOf(draft, deps.events.peek(id))
      const isNew = isShown && order === undefined
      const place = isNew ? { position, order: position } : isShown && order !== undefined ? { order } : {}
      final = { ...unplaced, ...place }
      deps.events.stage(final)
      const writes = [events.put([id], final), ...authChildWrites(final), ...more()]
      if (isNew) writes.push(...placeWrites(roomId, position, id, final.pdu))
      if (!isShown && order !== undefined) {
        const places = placeWrites(roomId, order, id, before.pdu)
        writes.push(...places.map((write) => ({ ...write, value: undefined })), ...forgetWrites(before))
      }
      return writes
    },
    publish: () => deps.events.adopt(final),
  }
}

/** What redacted an event, or gave back what had, since it was decided again stands. */
function withContentOf(draft: EventRecord, newest: EventRecord | undefined): EventRecord {
  if (newest === undefined) return draft
  const { redactedBy: _, ...rest } = draft
  const { pdu, redactedBy } = newest
  return { ...rest, pdu, ...(redactedBy === undefined ? {} : { redactedBy }) }
}
