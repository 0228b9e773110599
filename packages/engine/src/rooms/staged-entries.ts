/** Which of a room's staged events can be decided, which wait for a time, and which for other events. No I/O. */
import type { EventId, ServerName } from '@plexus/core'
import { prevEventIds } from '@plexus/core'
import { hasPlace, type Stay } from './case.ts'
import type { StagedEntry } from './decide-staged.ts'
import { createGapTurns, type GapTurns } from './gap-turns.ts'
import type { EventRecord } from './types.ts'

export interface StagedEntries {
  readonly size: number
  get(id: EventId): StagedEntry | undefined
  /** Of one server, oldest first. */
  ofServer(server: ServerName): readonly StagedEntry[]
  /** It waits for other events or for a time. */
  waits(entry: StagedEntry, now: number): boolean
  add(entry: StagedEntry): void
  remove(entry: StagedEntry): void
  /** Lets it wait among the events of another server, if it is here. */
  move(entry: StagedEntry, origin: ServerName): void
  /**
   * At most `limit` of those that can be decided, in order of arrival; the caller settles or parks each. What is dated more than
   * `maxAheadMs` ahead waits for its time.
   */
  takeReady(limit: number, now: number, maxAheadMs: number): readonly StagedEntry[]
  /** True while some can be decided. */
  isReady(now: number): boolean
  /** Looks at it again at a time. */
  park(entry: StagedEntry, until: number): void
  /** It was decided, or waits for what it misses. `find` answers without I/O. */
  settle(
    entry: StagedEntry,
    missing: readonly EventId[],
    find: (id: EventId) => EventRecord | undefined,
    stay: Stay,
  ): void
  /** Events that some wait for. */
  missing(): readonly EventId[]
  /** An event is known: what it is enough for can be decided. */
  arrived(id: EventId, record: EventRecord | undefined, stay: Stay): void
  /** Those that miss events which are not among them, or wait for those of other servers, which wait themselves. */
  readonly gaps: GapTurns<StagedEntry>
  /** The clock was set back: all is looked at again. */
  setBack(now: number): void
  /** When something can be done, `undefined` when nothing waits for a time. */
  due(): number | undefined
}

export function createStagedEntries(): StagedEntries {
  const entries = new Map<EventId, StagedEntry>()
  const perServer = new Map<ServerName, Set<StagedEntry>>()
  const ready = new Set<StagedEntry>()
  const parked = new Map<StagedEntry, number>()
  const waiters = new Map<EventId, Set<StagedEntry>>()
  // What another server's event waits for may stand behind a thousand that nobody can fill: it is no reason to wait.
  const isFetchedFor = ({ origin }: StagedEntry, held: StagedEntry | undefined): boolean =>
    held === undefined || (held.origin !== origin && held.missing.size > 0)
  const gaps = createGapTurns<StagedEntry>((entry) => {
    for (const id of entry.missing) if (isFetchedFor(entry, entries.get(id))) return true
    return false
  })

  const waitFor = (entry: StagedEntry, missing: readonly EventId[]): void => {
    for (const id of entry.missing) {
      const waiting = waiters.get(id)
      waiting?.delete(entry)
      if (waiting?.size === 0) waiters.delete(id)
    }
    entry.missing = new Set(missing)
    for (const id of missing) waiters.set(id, (waiters.get(id) ?? new Set()).add(entry))
    if (missing.length === 0) gaps.remove(entry)
    else gaps.add(entry)
  }

  const makeReady = (entry: StagedEntry): void => {
    waitFor(entry, [])
    parked.delete(entry)
    entry.isNew = false
    ready.add(entry)
  }

  const countIn = (entry: StagedEntry): void => {
    perServer.set(entry.origin, (perServer.get(entry.origin) ?? new Set()).add(entry))
  }
  const countOut = (entry: StagedEntry): void => {
    const others = perServer.get(entry.origin)
    others?.delete(entry)
    if (others?.size === 0) perServer.delete(entry.origin)
  }

  const remove = (entry: StagedEntry): void => {
    waitFor(entry, [])
    parked.delete(entry)
    ready.delete(entry)
    if (entries.get(entry.event.id) === entry) entries.delete(entry.event.id)
    countOut(entry)
  }

  const wake = (id: EventId): void => {
    for (const entry of waiters.get(id) ?? []) {
      entry.missing.delete(id)
      if (entry.missing.size === 0) makeReady(entry)
    }
    waiters.delete(id)
  }

  const wakeParked = (now: number): void => {
    for (const [entry, until] of parked) if (until <= now) makeReady(entry)
  }

  return {
    get size() {
      return entries.size
    },
    get: (id) => entries.get(id),
    ofServer: (server) => [...(perServer.get(server) ?? [])],
    waits: (entry, now) => entry.missing.size > 0 || (parked.get(entry) ?? 0) > now,
    add(entry) {
      entries.set(entry.event.id, entry)
      countIn(entry)
      ready.add(entry)
    },
    remove,
    move(entry, origin) {
      if (entry.origin === origin || entries.get(entry.event.id) !== entry) return
      countOut(entry)
      gaps.remove(entry)
      entry.origin = origin
      countIn(entry)
      if (entry.missing.size > 0) gaps.add(entry)
    },
    takeReady(limit, now, maxAheadMs) {
      wakeParked(now)
      const taken: StagedEntry[] = []
      for (const entry of ready) {
        if (taken.length === limit) break
        ready.delete(entry)
        const until = entry.event.pdu.origin_server_ts - maxAheadMs
        if (until > now) parked.set(entry, until)
        else taken.push(entry)
      }
      return taken
    },
    isReady(now) {
      wakeParked(now)
      return ready.size > 0
    },
    park(entry, until) {
      if (entries.get(entry.event.id) === entry) parked.set(entry, until)
    },
    settle(entry, missing, find, stay) {
      if (entries.get(entry.event.id) !== entry || ready.has(entry)) return
      if (missing.length === 0) {
        remove(entry)
        wake(entry.event.id)
        return
      }
      waitFor(entry, missing)
      // Something of it may have come since it was found to be missing.
      if (missing.some((id) => isEnough(find(id), entry, id, stay))) makeReady(entry)
    },
    missing: () => [...waiters.keys()],
    arrived(id, record, stay) {
      const waiting = [...(waiters.get(id) ?? [])]
      if (waiting.some((entry) => isEnough(record, entry, id, stay))) wake(id)
    },
    gaps,
    setBack(now) {
      for (const entry of parked.keys()) parked.set(entry, now)
      gaps.setBack(now)
    },
    due() {
      let due = gaps.due()
      for (const until of parked.values()) if (due === undefined || until < due) due = until
      return due
    },
  }
}

/** An event can follow one that has a place, and be authorised by one that is known. */
function isEnough(record: EventRecord | undefined, { event }: StagedEntry, id: EventId, stay: Stay): boolean {
  return prevEventIds(event.pdu).includes(id) ? hasPlace(record, stay) : record !== undefined
}
