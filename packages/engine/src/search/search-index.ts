/**
 * A full-text index of the rooms' timelines, which follows them when somebody searches: sending costs nothing for it, and
 * what was stored before there was an index needs no migration. A redaction takes words out in its own commit.
 */
import type { EventId, RoomId } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { createMutex } from '../kernel/mutex.ts'
import type { Store } from '../ports.ts'
import { LOWEST_ORDER } from '../rooms/read.ts'
import type { EventRecord, Rooms } from '../rooms/types.ts'
import { indexed, postings, postingWrites, type Posting } from './postings.ts'

/** Events that one search adds to the index at most; the next goes on. */
export const MAX_INDEXED_AT_ONCE = 20_000
/** Newest events of one room with one word that are looked at. */
export const MAX_POSTINGS = 10_000
/** Of all rooms and words of one search. */
export const MAX_POSTINGS_READ = 100_000
/** Events of one commit: taking their words takes the whole node's time. */
const BATCH = 25
const TOP = -LOWEST_ORDER

export type Match = {
  readonly id: EventId
  /** Milliseconds since the epoch, as the event says. */
  readonly ts: number
  readonly position: number
  readonly roomId: RoomId
  readonly key: Posting['key']
  /** Higher for an event that is more about the words. */
  readonly rank: number
}

export interface SearchIndex {
  /** Brings the index up to what is committed in these rooms, within `MAX_INDEXED_AT_ONCE`. */
  follow(roomIds: readonly RoomId[]): Promise<void>
  /** Events of the rooms with all of the words, in no order. */
  find(roomIds: readonly RoomId[], terms: readonly string[]): Promise<readonly Match[]>
}

type SearchIndexDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly rooms: Pick<Rooms, 'timeline'>
}

export function createSearchIndex({ store, committer, rooms }: SearchIndexDeps): SearchIndex {
  const turns = createMutex()

  const add = async (
    roomId: RoomId,
    records: readonly EventRecord[],
    span: { readonly low: number; readonly high: number },
  ): Promise<void> => {
    await committer.submit({
      durability: 'relaxed',
      positions: 0,
      writes: () => [...records.flatMap(postingWrites), indexed.put([roomId], span)],
    })
  }

  /** Answers with how many events it looked at. The newest come first, since those are looked for most. */
  const followRoom = async (roomId: RoomId, budget: number): Promise<number> => {
    const span = await indexed.get(store, [roomId])
    let used = 0
    let high = span?.high
    let low = span?.low
    if (high !== undefined) {
      for (let from = high; used < budget;) {
        const page = await rooms.timeline(roomId, { from, to: TOP, direction: 'f', limit: BATCH })
        const last = page.events.at(-1)?.order
        if (last === undefined) break
        used += page.events.length
        from = last
        high = last
        await add(roomId, page.events, { low: low ?? last, high })
      }
    }
    while (used < budget) {
      const to = low === undefined ? TOP : low - 1
      const page = await rooms.timeline(roomId, { from: LOWEST_ORDER, to, direction: 'b', limit: BATCH })
      const first = page.events.at(-1)?.order
      if (first === undefined) break
      used += page.events.length
      high ??= page.events[0]?.order ?? first
      low = first
      await add(roomId, page.events, { low, high })
    }
    return used
  }

  return {
    follow: (roomIds) =>
      turns.run(async () => {
        let left = MAX_INDEXED_AT_ONCE
        for (const roomId of roomIds) {
          if (left <= 0) return
          left -= await followRoom(roomId, left)
        }
      }),
    async find(roomIds, terms) {
      let left = MAX_POSTINGS_READ
      const findIn = async (roomId: RoomId): Promise<readonly Match[]> => {
        let found: Map<EventId, Match> | undefined
        for (const term of terms) {
          const limit = Math.min(left, MAX_POSTINGS)
          const rows = await postings.list(store, [roomId, term], { reverse: true, limit })
          left -= rows.length
          const next = new Map<EventId, Match>()
          for (const [[, , ts, position, id], { key, count, of }] of rows) {
            const before = found?.get(id)
            if (found !== undefined && before === undefined) continue
            next.set(id, { id, ts, position, roomId, key, rank: (before?.rank ?? 0) + count / Math.sqrt(of) })
          }
          if (next.size === 0) return []
          found = next
        }
        return [...(found?.values() ?? [])]
      }
      const matches: Match[] = []
      for (const roomId of roomIds) {
        if (left <= 0) break
        for (const match of await findIn(roomId)) matches.push(match)
      }
      return matches
    },
  }
}
