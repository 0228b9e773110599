/**
 * Events by id: the committed ones from the store with a cache, and those decided but not yet committed.
 * Invariant: readers outside the rooms see committed events only.
 */
import type { AuthView, EventId, KnownEvent, Missing } from '@plexus/core'
import { authEventIds } from '@plexus/core'
import { createGenerations } from '../kernel/generations.ts'
import type { Store } from '../ports.ts'
import { createLoadingChildren, type LoadingChildren } from './auth-graph.ts'
import { createNewestRows, type NewestRows } from './newest-rows.ts'
import { events } from './records.ts'
import type { EventRecord } from './types.ts'

/** Events used last that are kept in memory, and at most as many again. */
export const MAX_CACHED_EVENTS = 4_096
/** Most events that one look-up of auth chains reads: bounds the work that one hostile event can cause. */
export const MAX_CLOSURE_EVENTS = 100_000
/** Children that are loaded for one look-up in the first round, and how many times more in each later one. */
const FIRST_CHILDREN = 64
const CHILDREN_FACTOR = 4
/** From this round on whole auth chains are loaded, so that the rounds are enough whatever the graph is like. */
const WHOLE_FROM_ROUND = 5
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

export interface LoadingView extends AuthView {
  record(id: EventId): EventRecord | undefined
  /** Loads these events. Answers with those that are not there. */
  load(ids: readonly EventId[]): Promise<readonly EventId[]>
  /** Loads what the core lacked when it was asked for the `round`th time, from 0. Answers with what is not there. */
  supply(missing: Missing, round: number): Promise<readonly EventId[]>
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
      if (record.verdict === 'accepted') newestRows.add(record)
      else newestRows.remove(record)
    },
    clear() {
      uncommitted.clear()
      cache.clear()
      newestRows.clear()
    },
    newestRows,
    view: () =>
      createView(
        working,
        createLoadingChildren(store, () => uncommitted.values()),
      ),
  }
}

function createView(
  working: (ids: readonly EventId[]) => Promise<(EventRecord | undefined)[]>,
  children: LoadingChildren,
): LoadingView {
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

  /** With what of their auth chains is of the generation `floor` or a later one. */
  const loadDown = async (ids: readonly EventId[], floor: number): Promise<readonly EventId[]> => {
    const missing: EventId[] = []
    const seen = new Set<EventId>()
    let level: readonly EventId[] = ids
    while (level.length > 0 && seen.size < MAX_CLOSURE_EVENTS) {
      for (const id of level) seen.add(id)
      for (const id of await loadLevel(level.filter((each) => !loaded.has(each)))) missing.push(id)
      const below = new Set<EventId>()
      for (const id of level) {
        const record = loaded.get(id)
        if (record !== undefined && record.generation > floor)
          for (const parent of authEventIds(record.pdu)) below.add(parent)
      }
      level = [...below].filter((id) => !seen.has(id))
    }
    return missing
  }

  return {
    get: (id) => known.get(id),
    record: (id) => loaded.get(id),
    generation: (id) => loaded.get(id)?.generation ?? 0,
    children: (id) => children.get(id),
    load: (ids) => loadDown(ids, Infinity),
    async supply({ events: ids, floor, children: childless }, round) {
      const whole = round >= WHOLE_FROM_ROUND
      if (childless.length > 0) {
        await children.load(childless, whole ? MAX_CLOSURE_EVENTS : FIRST_CHILDREN * CHILDREN_FACTOR ** round)
      }
      return loadDown(ids, whole ? -Infinity : floor)
    },
  }
}
