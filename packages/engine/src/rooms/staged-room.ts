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
import { decideStaged, maxAheadMs, unblock, type StagedDeps, type StagedEntry } from './decide-staged.ts'
import { GAP_BATCH } from './gap-fill.ts'
import { FIRST_RETRY_MS, LAST_RETRY_MS } from './gap-turns.ts'
import type { RoomRegistry } from './registry.ts'
import type { Room } from './room.ts'
import { createStagedEntries, type StagedEntries } from './staged-entries.ts'
import type { CheckedEvent } from './verify.ts'

/** Events decided in one turn of the room, and committed together. */
export const MAX_DECIDED_TOGETHER = 50

export type StagedRoomDeps = StagedDeps & { readonly registry: RoomRegistry }

export interface StagedRoom {
  /** Events that wait, those under way into staging included. */
  readonly size: number
  get(id: EventId): StagedEntry | undefined
  /** Events of one server that wait, oldest first. */
  ofServer(server: ServerName): readonly StagedEntry[]
  /** It waits for other events or for a time. */
  waits(entry: StagedEntry): boolean
  /** Events that are being decided. */
  readonly isBusy: boolean
  /**
   * Events that are being taken in, each by one transaction, whose end resolves the promise. `settle` is to be called
   * then.
   */
  readonly arriving: Map<EventId, Promise<void>>
  settle(): void
  add(entries: readonly StagedEntry[]): void
  /** A server sent events that are decided and committed: what waited for them can be. */
  decided(origin: ServerName, ids: readonly EventId[]): void
  /** Lets an entry wait among the events of another server, unless it waits no longer. */
  move(entry: StagedEntry, origin: ServerName): void
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
  const { clock } = deps
  const entries = createStagedEntries()
  const arriving = new Map<EventId, Promise<void>>()
  let deciding: Promise<void> | undefined
  let filling: Promise<void> | undefined
  let cancelTimer: (() => void) | undefined
  let restUntil = 0
  let seenAt = clock.now()
  let closed = false
  const work = { deps, roomId, entries, isClosed: () => closed }

  /** Starts what can be done. */
  const pump = (): void => {
    if (closed) return
    const now = clock.now()
    if (now < seenAt) {
      restUntil = now
      entries.setBack(now)
    }
    seenAt = now
    if (now >= restUntil) {
      if (entries.isReady(now)) deciding ??= run(decideReady(work), () => (deciding = undefined))
      if ((entries.gaps.due() ?? Infinity) <= now)
        filling ??= run(fillGaps(work, pump), () => (filling = undefined))
    }
    if (deciding !== undefined || filling !== undefined) return
    if (entries.size === 0 && arriving.size === 0) {
      // Another takes its place when something comes: one that is over must not end that one.
      close()
      onEmpty()
    } else schedule(now)
  }

  const close = (): void => {
    closed = true
    cancelTimer?.()
  }

  const run = async (task: Promise<void>, ended: () => void): Promise<void> => {
    await task.catch((error: unknown) => {
      if (closed) return
      deps.log.log('error', 'processing staged events failed', { roomId, error: String(error) })
      restUntil = clock.now() + FIRST_RETRY_MS
    })
    ended()
    pump()
  }

  const schedule = (now: number): void => {
    cancelTimer?.()
    const due = entries.isReady(now) ? restUntil : entries.due()
    if (due === undefined) return
    cancelTimer = clock.after(Math.max(Math.min(due - now, LAST_RETRY_MS), FIRST_RETRY_MS), pump)
  }

  return {
    get size() {
      return entries.size + arriving.size
    },
    get: (id) => entries.get(id),
    ofServer: (server) => entries.ofServer(server),
    waits: (entry) => entries.waits(entry, clock.now()),
    get isBusy() {
      return deciding !== undefined
    },
    arriving,
    settle: pump,
    add(added) {
      for (const entry of added) {
        entries.add(entry)
        entries.gaps.arrived(entry.origin, clock.now())
      }
      pump()
    },
    decided(origin, ids) {
      // Decided just now, so of this stay.
      for (const id of ids) entries.arrived(id, deps.events.peek(id), { roomId, since: 0 })
      entries.gaps.arrived(origin, clock.now())
      pump()
    },
    move: (entry, origin) => entries.move(entry, origin),
    remove: (entry) => entries.remove(entry),
    kick(server) {
      entries.gaps.appeared(server, clock.now())
      pump()
    },
    async idle() {
      while (deciding !== undefined || filling !== undefined) await Promise.all([deciding, filling])
    },
    close,
  }
}

type Work = {
  readonly deps: StagedRoomDeps
  readonly roomId: RoomId
  readonly entries: StagedEntries
  readonly isClosed: () => boolean
}

async function decideReady({ deps, roomId, entries, isClosed }: Work): Promise<void> {
  const room = await deps.registry.get(roomId)
  while (!isClosed()) {
    const aheadMs = room === undefined ? Infinity : maxAheadMs(deps, room)
    const batch = entries.takeReady(MAX_DECIDED_TOGETHER, deps.clock.now(), aheadMs)
    if (batch.length === 0) return
    const later = deps.clock.now() + LAST_RETRY_MS
    if (room === undefined) for (const entry of batch) entries.park(entry, later)
    else await decideBatch(deps, room, entries, batch)
  }
}

async function decideBatch(
  deps: StagedRoomDeps,
  room: Room,
  entries: StagedEntries,
  batch: readonly StagedEntry[],
): Promise<void> {
  for (const [entry, outcome] of await decideStaged(deps, room, batch)) {
    if (!(outcome instanceof Error)) {
      entries.settle(entry, outcome, (id) => deps.events.peek(id), room)
      continue
    }
    // A fault with one event keeps no other from being decided.
    const fields = { roomId: room.roomId, eventId: entry.event.id, error: String(outcome) }
    deps.log.log('error', 'a staged event could not be decided', fields)
    entries.park(entry, deps.clock.now() + LAST_RETRY_MS)
  }
}

/** What the same server brought after an entry and one answer may serve, by its depth. */
function waitingBehind(entries: StagedEntries, { origin, event }: StagedEntry): readonly CheckedEvent[] {
  const { depth } = event.pdu
  const isNear = (other: CheckedEvent): boolean =>
    other.pdu.depth > depth && other.pdu.depth < depth + GAP_BATCH
  const waiting = entries.ofServer(origin).filter(({ missing }) => missing.size > 0)
  return waiting.flatMap((entry) => (isNear(entry.event) ? [entry.event] : []))
}

async function fillGaps({ deps, roomId, entries, isClosed }: Work, pump: () => void): Promise<void> {
  const { clock, events } = deps
  for (
    let entry = entries.gaps.next(clock.now());
    entry !== undefined;
    entry = entries.gaps.next(clock.now())
  ) {
    const room = await deps.registry.get(roomId)
    if (room === undefined) throw new Error('a room with staged events is not there')
    const { missing, progress } = await unblock(deps, room, entry, waitingBehind(entries, entry))
    if (isClosed()) return
    if (missing.length === 0) entries.gaps.filled(entry, clock.now())
    else entries.gaps.failed(entry, clock.now())
    entries.settle(entry, missing, (id) => events.peek(id), room)
    if (progress) {
      // What others wait for may have come with it.
      const ids = entries.missing()
      const records = await events.working(ids)
      ids.forEach((id, index) => entries.arrived(id, records[index], room))
    }
    pump()
  }
}
