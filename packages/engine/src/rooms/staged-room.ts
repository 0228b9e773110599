/**
 * The staged events of one room.
 *
 * Invariants:
 * 1. An event is decided as soon as what it needs is here, and looked at again only when some of that came: deciding
 *    never waits for the network, and what waits costs nothing.
 * 2. One gap is filled at a time; what cannot be filled is tried again with growing pauses and whenever a peer appears,
 *    for as long as it takes.
 */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { hasPlace } from './case.ts'
import { decideStaged, MAX_DATED_AHEAD_MS, unblock } from './decide-staged.ts'
import type { StagedDeps, StagedEntry } from './decide-staged.ts'
import { createGapTurns, FIRST_RETRY_MS, LAST_RETRY_MS } from './gap-turns.ts'
import type { RoomRegistry } from './registry.ts'
import type { Room } from './room.ts'
import type { EventRecord } from './types.ts'

/** Events decided in one turn of the room, and committed together. */
export const MAX_DECIDED_TOGETHER = 50

export type StagedRoomDeps = StagedDeps & { readonly registry: RoomRegistry }

export interface StagedRoom {
  /** Events that wait, those under way into staging included. */
  readonly size: number
  get(id: EventId): StagedEntry | undefined
  /** Events of one server that wait, oldest first. */
  ofServer(server: ServerName): readonly StagedEntry[]
  /** Events that are being staged: they must not be staged twice. `settle` is to be called when that has ended. */
  readonly arriving: Set<EventId>
  settle(): void
  add(entries: readonly StagedEntry[]): void
  /** Forgets an entry that left staging undecided. */
  remove(entry: StagedEntry): void
  /** A peer is here: what waits for missing events is tried again. */
  kick(server: ServerName): void
  /** Resolves when nothing is being processed (what waits for a peer may remain). */
  idle(): Promise<void>
  /** Stops; the events stay in staging. */
  close(): void
}

/** `onEmpty`: nothing waits any more. */
export function createStagedRoom(deps: StagedRoomDeps, roomId: RoomId, onEmpty: () => void): StagedRoom {
  const entries = new Map<EventId, StagedEntry>()
  const arriving = new Set<EventId>()
  const perServer = new Map<ServerName, Set<StagedEntry>>()
  /** Can be decided, in order of arrival. */
  const ready = new Set<StagedEntry>()
  /** To be looked at again at a time. */
  const parked = new Map<StagedEntry, number>()
  const waiters = new Map<EventId, Set<StagedEntry>>()
  const turns = createGapTurns<StagedEntry>(({ missing }) => {
    for (const id of missing) if (!entries.has(id)) return true
    return false
  })
  let deciding: Promise<void> | undefined
  let filling: Promise<void> | undefined
  let cancelTimer: (() => void) | undefined
  let closed = false

  const waitFor = (entry: StagedEntry, missing: readonly EventId[]): void => {
    for (const id of entry.missing) {
      const waiting = waiters.get(id)
      waiting?.delete(entry)
      if (waiting?.size === 0) waiters.delete(id)
    }
    entry.missing = new Set(missing)
    for (const id of missing) waiters.set(id, (waiters.get(id) ?? new Set()).add(entry))
    if (missing.length === 0) turns.remove(entry)
    else turns.add(entry)
  }

  const makeReady = (entry: StagedEntry): void => {
    waitFor(entry, [])
    parked.delete(entry)
    entry.isNew = false
    ready.add(entry)
  }

  const remove = (entry: StagedEntry): void => {
    waitFor(entry, [])
    parked.delete(entry)
    ready.delete(entry)
    if (entries.get(entry.event.id) === entry) entries.delete(entry.event.id)
    const others = perServer.get(entry.origin)
    others?.delete(entry)
    if (others?.size === 0) perServer.delete(entry.origin)
  }

  const wake = (id: EventId): void => {
    for (const entry of waiters.get(id) ?? []) {
      entry.missing.delete(id)
      if (entry.missing.size === 0) makeReady(entry)
    }
    waiters.delete(id)
  }

  const settle = (entry: StagedEntry, missing: readonly EventId[]): void => {
    if (entries.get(entry.event.id) !== entry || ready.has(entry)) return
    if (missing.length > 0) {
      waitFor(entry, missing)
      // Something of it may have come since it was found to be missing.
      if (missing.some((id) => isEnough(deps.events.peek(id), entry, id))) makeReady(entry)
      return
    }
    remove(entry)
    wake(entry.event.id)
  }

  /** After a gap was filled: what others wait for may have come with it. */
  const wakeKnown = async (): Promise<void> => {
    const ids = [...waiters.keys()]
    const records = await deps.events.working(ids)
    ids.forEach((id, index) => {
      const record = records[index]
      const helps = (entry: StagedEntry): boolean => isEnough(record, entry, id)
      if ([...(waiters.get(id) ?? [])].some(helps)) wake(id)
    })
  }

  const decideReady = async (): Promise<void> => {
    const room = await deps.registry.get(roomId)
    while (ready.size > 0 && !closed) {
      const batch = takeReady()
      if (room === undefined) for (const entry of batch) park(entry)
      else await decideBatch(room, batch)
    }
  }

  /** In order; without those whose time has not come. */
  const takeReady = (): readonly StagedEntry[] => {
    const batch: StagedEntry[] = []
    for (const entry of ready) {
      if (batch.length === MAX_DECIDED_TOGETHER) break
      ready.delete(entry)
      const due = entry.event.pdu.origin_server_ts - MAX_DATED_AHEAD_MS
      if (due > deps.clock.now()) parked.set(entry, due)
      else batch.push(entry)
    }
    return batch
  }

  const park = (entry: StagedEntry): void => {
    if (entries.get(entry.event.id) === entry) parked.set(entry, deps.clock.now() + LAST_RETRY_MS)
  }

  const decideBatch = async (room: Room, batch: readonly StagedEntry[]): Promise<void> => {
    for (const [entry, outcome] of await decideStaged(deps, room, batch)) {
      if (!(outcome instanceof Error)) {
        settle(entry, outcome)
        continue
      }
      // A fault with one event keeps no other from being decided.
      const fields = { roomId, eventId: entry.event.id, error: String(outcome) }
      deps.log.log('error', 'a staged event could not be decided', fields)
      park(entry)
    }
  }

  const fillGaps = async (): Promise<void> => {
    for (
      let entry = turns.next(deps.clock.now());
      entry !== undefined;
      entry = turns.next(deps.clock.now())
    ) {
      const room = await deps.registry.get(roomId)
      if (room === undefined || closed) return
      const { missing, progress } = await unblock(deps, room, entry)
      if (closed) return
      if (missing.length === 0) turns.filled(entry)
      else turns.failed(entry, deps.clock.now())
      settle(entry, missing)
      if (progress) await wakeKnown()
      pump()
    }
  }

  const pump = (): void => {
    if (closed) return
    const now = deps.clock.now()
    for (const [entry, due] of parked) if (due <= now) makeReady(entry)
    if (ready.size > 0) {
      deciding ??= run(decideReady()).then(() => {
        deciding = undefined
        pump()
      })
    }
    if ((turns.due() ?? Infinity) <= now) {
      filling ??= run(fillGaps()).then(() => {
        filling = undefined
        pump()
      })
    }
    if (deciding !== undefined || filling !== undefined) return
    if (entries.size === 0 && arriving.size === 0) onEmpty()
    else schedule(now)
  }

  const run = async (work: Promise<void>): Promise<void> => {
    try {
      await work
    } catch (error) {
      if (closed) return
      deps.log.log('error', 'processing staged events failed', { roomId, error: String(error) })
      for (const entry of ready) parked.set(entry, deps.clock.now() + FIRST_RETRY_MS)
      ready.clear()
    }
  }

  const schedule = (now: number): void => {
    cancelTimer?.()
    const due = [...parked.values()].reduce((a, b) => Math.min(a, b), turns.due() ?? Infinity)
    if (due === Infinity) return
    const pauseMs = Math.max(Math.min(due - now, LAST_RETRY_MS), FIRST_RETRY_MS)
    cancelTimer = deps.clock.after(pauseMs, pump)
  }

  return {
    get size() {
      return entries.size + arriving.size
    },
    get: (id) => entries.get(id),
    ofServer: (server) => [...(perServer.get(server) ?? [])],
    arriving,
    settle: pump,
    add(added) {
      for (const entry of added) {
        entries.set(entry.event.id, entry)
        perServer.set(entry.origin, (perServer.get(entry.origin) ?? new Set()).add(entry))
        ready.add(entry)
        turns.arrived(entry.origin, deps.clock.now())
      }
      pump()
    },
    remove,
    kick(server) {
      turns.appeared(server, deps.clock.now())
      pump()
    },
    async idle() {
      while (deciding !== undefined || filling !== undefined) await Promise.all([deciding, filling])
    },
    close() {
      closed = true
      cancelTimer?.()
    },
  }
}

/** An event can follow one that has a place, and be authorised by one that is known. */
function isEnough(record: EventRecord | undefined, { event }: StagedEntry, id: EventId): boolean {
  return event.pdu.prev_events.includes(id) ? hasPlace(record) : record !== undefined
}
