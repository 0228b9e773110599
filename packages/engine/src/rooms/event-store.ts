/**
 * Events by id: the committed ones from the store with a cache, and those decided but not yet committed.
 * Invariant: readers outside the rooms see committed events only.
 */
import { authEventIds } from '@plexus/core'
import type { EventId, EventView, KnownEvent } from '@plexus/core'
import { createGenerations } from '../kernel/generations.ts'
import type { Store } from '../ports.ts'
import { createNewestRows, type NewestRows } from './newest-rows.ts'
import { events } from './records.ts'
import type { EventRecord } from './types.ts'

/** Events used last that are kept in memory, and at most as many again. */
export const MAX_CACHED_EVENTS = 4_096
/** Most events that one look-up of auth chains reads: bounds the work that one hostile event can cause. */
export const MAX_CLOSURE_EVENTS = 100_000
/** Keys of one read of the store. */
const READ_BATCH = 500

export interface EventStore {
  /** Committed events, in the order of `ids`. */
  getMany(ids: readonly EventId[]): Promise<readonly (EventRecord | undefined)[]>
  get(id: EventId): Promise<EventRecord | undefined>
  /** As `getMany`, with those that are decided and wait for their commit. */
  working(ids: readonly EventId[]): Promise<readonly (EventRecord | undefined)[]>
  /** The newest form of an event that is staged or cached, without I/O. */
  peek(id: EventId): EventRecord | undefined
  /** Holds an event that is decided but not committed, in place of an older form of it. */
  stage(record: EventRecord): void
  /** This very record will not be committed. */
  unstage(record: EventRecord): void
  /** This very record is committed. */
  adopt(record: EventRecord): void
  /** Forgets everything that is not committed, and the cache. */
  clear(): void
  /** The newest places that events have in the timelines of rooms. */
  readonly newestRows: Pick<NewestRows, 'range'>
  /** A growing synchronous view for one decision. */
  view(): LoadingView
}

export interface LoadingView extends EventView {
  record(id: EventId): EventRecord | undefined
  /** Loads these events; with `closure` also the auth chains of them. Answers with those that are not there. */
  load(ids: readonly EventId[], closure: boolean): Promise<readonly EventId[]>
}

export function createEventStore(store: Store): EventStore {
  const cache = createGenerations<EventId, EventRecord>(MAX_CACHED_EVENTS)
  const uncommitted = new Map<EventId, EventRecord>()
  const newestRows = createNewestRows()

  const read = async (
    ids: readonly EventId[],
    find: (id: EventId) => EventRecord | undefined,
  ): Promise<(EventRecord | undefined)[]> => {
    const found = ids.map(find)
    const missing = ids.filter((_, index) => found[index] === undefined)
    if (missing.length === 0) return found
    const loaded = new Map<EventId, EventRecord>()
    for (let start = 0; start < missing.length; start += READ_BATCH) {
      const batch = missing.slice(start, start + READ_BATCH)
      const records = await events.getMany(
        store,
        batch.map((id) => [id] as const),
      )
      for (const record of records) if (record !== undefined) loaded.set(record.id, record)
    }
    return ids.map((id, index) => found[index] ?? find(id) ?? cached(loaded.get(id)))
  }

  const cached = (record: EventRecord | undefined): EventRecord | undefined => {
    if (record !== undefined) cache.set(record.id, record)
    return record
  }

  const working = (ids: readonly EventId[]): Promise<(EventRecord | undefined)[]> =>
    read(ids, (id) => uncommitted.get(id) ?? cache.get(id))

  return {
    getMany: (ids) => read(ids, (id) => cache.get(id)),
    async get(id) {
      return (await read([id], (key) => cache.get(key)))[0]
    },
    working,
    peek: (id) => uncommitted.get(id) ?? cache.get(id),
    stage(record) {
      uncommitted.set(record.id, record)
    },
    unstage(record) {
      if (uncommitted.get(record.id) === record) uncommitted.delete(record.id)
    },
    adopt(record) {
      // A later change of the same event may be staged on top of this one; that one stays.
      if (uncommitted.get(record.id) === record) uncommitted.delete(record.id)
      cache.set(record.id, record)
      newestRows.add(record)
    },
    clear() {
      uncommitted.clear()
      cache.clear()
      newestRows.clear()
    },
    newestRows,
    view: () => createView(working),
  }
}

function createView(working: (ids: readonly EventId[]) => Promise<(EventRecord | undefined)[]>): LoadingView {
  const loaded = new Map<EventId, EventRecord>()
  const known = new Map<EventId, KnownEvent>()

  const loadLevel = async (ids: readonly EventId[]): Promise<EventId[]> => {
    const missing: EventId[] = []
    const records = await working(ids)
    records.forEach((record, index) => {
      const id = ids[index]
      if (record !== undefined) add(record)
      else if (id !== undefined) missing.push(id)
    })
    return missing
  }

  const add = (record: EventRecord): void => {
    loaded.set(record.id, record)
    known.set(record.id, {
      id: record.id,
      pdu: record.pdu,
      verdict: record.verdict === 'rejected' ? 'rejected' : 'accepted',
    })
  }

  return {
    get: (id) => known.get(id),
    record: (id) => loaded.get(id),
    async load(ids, closure) {
      const missing: EventId[] = []
      const seen = new Set<EventId>()
      let level: readonly EventId[] = ids
      while (level.length > 0 && seen.size < MAX_CLOSURE_EVENTS) {
        for (const id of level) seen.add(id)
        missing.push(...(await loadLevel(level.filter((id) => !loaded.has(id)))))
        if (!closure) break
        const next = new Set(level.flatMap((id) => authIdsOf(loaded.get(id))))
        level = [...next].filter((id) => !seen.has(id))
      }
      return missing
    },
  }
}

function authIdsOf(record: EventRecord | undefined): readonly EventId[] {
  return record === undefined ? [] : authEventIds(record.pdu)
}
