/**
 * What becomes of checked events before they are answered: those that miss nothing are decided, the others get places
 * in staging, in one commit.
 *
 * Invariants:
 * 1. An event is taken in by one transaction at a time. Another that brings it too waits and then finds it, so that none
 *    is acknowledged before it is committed.
 * 2. What one server can put into staging is bounded. What is over the bound is refused; only what waited in vain for
 *    long makes room for it.
 */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import { combineChanges, type Change } from '../kernel/committer.ts'
import { isDecided, isFetchedHistory } from './case.ts'
import { decideArriving, type StagedEntry } from './decide-staged.ts'
import { staged } from './records.ts'
import type { StagedRecord } from './records.ts'
import type { Room } from './room.ts'
import type { StagedRoom, StagedRoomDeps } from './staged-room.ts'
import { RoomError } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { replaceStripped } from './whole-copies.ts'

/** Events of one server that may wait in one room. */
export const MAX_STAGED_PER_SERVER = 1_000
/** JSON text of one server's events that may wait, in all rooms, in UTF-16 code units. */
export const MAX_STAGED_LENGTH: number = 16 * 1024 * 1024
/** Events that may wait in one room, but for a few of each server. */
export const MAX_STAGED_PER_ROOM = 10_000
/** Events of one server that may wait in one room however full that is. */
export const MIN_STAGED_PER_SERVER = 50
/** An event that waited for this long gives way to newer ones of its server: those lead to it again. */
export const STALE_STAGED_MS = 86_400_000
export type TakeInDeps = StagedRoomDeps & {
  readonly stagedRoom: (roomId: RoomId) => StagedRoom
  /** JSON text of the events of one server that wait in any room. */
  readonly waitingLength: (origin: ServerName) => number
}

export async function takeIn(
  deps: TakeInDeps,
  origin: ServerName,
  room: Room,
  events: readonly CheckedEvent[],
): Promise<void> {
  const arrivingIn = ({ arriving }: StagedRoom): readonly Promise<void>[] =>
    events.flatMap(({ id }) => arriving.get(id) ?? [])
  let waiting = deps.stagedRoom(room.roomId)
  for (let others = arrivingIn(waiting); others.length > 0; others = arrivingIn(waiting)) {
    await Promise.all(others)
    waiting = deps.stagedRoom(room.roomId)
  }
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const { id } of events) waiting.arriving.set(id, promise)
  try {
    await takeInOnce(deps, origin, room, waiting, events)
  } finally {
    for (const { id } of events) waiting.arriving.delete(id)
    resolve()
    waiting.settle()
  }
}

async function takeInOnce(
  deps: TakeInDeps,
  origin: ServerName,
  room: Room,
  waiting: StagedRoom,
  events: readonly CheckedEvent[],
): Promise<void> {
  const known = await deps.events.working(events.map(({ id }) => id))
  await replaceStripped(
    deps,
    room,
    events.filter((_, index) => known[index]?.hashMismatch === true),
  )
  const at = deps.clock.now()
  const fresh: StagedEntry[] = []
  const held: (readonly [StagedEntry, CheckedEvent])[] = []
  events.forEach((event, index) => {
    const entry = waiting.get(event.id)
    if (entry !== undefined) held.push([entry, event])
    else if (!isDecided(known[index]) && !isFetchedHistory(known[index])) {
      const isNew = known[index] === undefined
      fresh.push({ ...toEntry(0, recordOf({ origin, at, event })), isNew })
    }
  })
  const updates = updatesOf(deps, waiting, origin, fresh, held)
  if (fresh.length === 0 && updates.length === 0) return
  const leaving = makeSpace(deps, waiting, origin, fresh)
  const { left, done } = await write(deps, room, waiting, { fresh, updates, leaving })
  const first = await done
  for (const entry of leaving) waiting.remove(entry)
  for (const { entry, event, origin: by, length } of updates) {
    entry.event = event
    entry.length = length
    waiting.move(entry, by)
  }
  // A failed commit in between may have put another in the place of the room that the events were held in.
  const current = deps.stagedRoom(room.roomId)
  current.add(left.map((entry, index) => ({ ...entry, seq: first + index })))
  const isLeft = new Set(left)
  current.decided(
    origin,
    fresh.flatMap((entry) => (isLeft.has(entry) ? [] : [entry.event.id])),
  )
  await replaceStripped(
    deps,
    room,
    updates.flatMap(({ event }) => (waiting.get(event.id) === undefined ? [event] : [])),
  )
}

/** What becomes of a held event by a copy of it. */
type Update = Pick<StagedEntry, 'event' | 'origin' | 'length'> & { readonly entry: StagedEntry }

/**
 * A copy whose content matches its hash takes the place of one whose does not, and waits among the events of who brought
 * it. What the event's own server brings waits among the events of that, no longer behind all that others brought before.
 * @throws RoomError when there is no room for a whole copy.
 */
function updatesOf(
  deps: TakeInDeps,
  waiting: StagedRoom,
  origin: ServerName,
  fresh: readonly StagedEntry[],
  held: readonly (readonly [StagedEntry, CheckedEvent])[],
): readonly Update[] {
  let space = MAX_STAGED_PER_SERVER - waiting.ofServer(origin).length - fresh.length
  let left = MAX_STAGED_LENGTH - deps.waitingLength(origin) - lengthOf(fresh)
  return held.flatMap(([entry, copy]) => {
    const isBetter = !entry.event.contentHashOk && copy.contentHashOk
    const isOthers = entry.origin !== origin
    if (!isBetter && !(isOthers && serverOf(copy.pdu.sender) === origin)) return []
    const length = isBetter ? JSON.stringify(copy.pdu).length : entry.length
    const more = isOthers ? length : length - entry.length
    if (more > left || (isOthers && space <= 0)) {
      if (isBetter) throw noRoom()
      return []
    }
    if (isOthers) space -= 1
    left -= more
    return [{ entry, event: isBetter ? copy : entry.event, origin, length }]
  })
}

function noRoom(): RoomError {
  return new RoomError('M_LIMIT_EXCEEDED', 'too many events of this server wait to be processed')
}

/**
 * Decides the new events, where none that wait are being decided, and gives the others places in staging, in one
 * commit: `done` resolves with the first place.
 */
async function write(
  deps: TakeInDeps,
  room: Room,
  waiting: StagedRoom,
  work: {
    readonly fresh: readonly StagedEntry[]
    readonly updates: readonly Update[]
    readonly leaving: readonly StagedEntry[]
  },
): Promise<{ readonly left: readonly StagedEntry[]; readonly done: Promise<number> }> {
  const { roomId } = room
  const { fresh, updates, leaving } = work
  const staging = (left: readonly StagedEntry[]): Change => ({
    durability: 'strict',
    positions: Math.max(left.length, 1),
    writes: (position) => [
      ...leaving.map(({ seq }) => staged.delete([roomId, seq])),
      ...updates.flatMap(({ entry, ...update }) =>
        waiting.get(entry.event.id) === entry
          ? [staged.put([roomId, entry.seq], recordOf({ ...entry, ...update }))]
          : [],
      ),
      ...left.map((entry, index) => staged.put([roomId, position + index], recordOf(entry))),
    ],
  })
  if (waiting.isBusy) return { left: fresh, done: deps.committer.submit(staging(fresh)) }
  return room.run(async (turn) => {
    const { left, changes } = await decideArriving(deps, room, turn, fresh)
    return { left, done: turn.submit(combineChanges([staging(left), ...changes])) }
  })
}

/** The entries that give way to new ones. @throws RoomError when there is no room for these. */
function makeSpace(
  deps: TakeInDeps,
  waiting: StagedRoom,
  origin: ServerName,
  fresh: readonly StagedEntry[],
): readonly StagedEntry[] {
  const own = waiting.ofServer(origin)
  const limit = waiting.size > MAX_STAGED_PER_ROOM ? MIN_STAGED_PER_SERVER : MAX_STAGED_PER_SERVER
  const over = Math.max(0, own.length + fresh.length - limit)
  const overLength = deps.waitingLength(origin) + lengthOf(fresh) - MAX_STAGED_LENGTH
  if (fresh.length === 0 || (over === 0 && overLength <= 0)) return []
  const now = deps.clock.now()
  const stale = own.filter((entry) => entry.at < now - STALE_STAGED_MS && waiting.waits(entry))
  const leaving = overLength > 0 ? stale : stale.slice(0, over)
  if (leaving.length < over || lengthOf(leaving) < overLength) throw noRoom()
  return leaving
}

export function lengthOf(entries: readonly StagedEntry[]): number {
  return entries.reduce((sum, { length }) => sum + length, 0)
}

function recordOf({ origin, at, event }: Pick<StagedEntry, 'origin' | 'at' | 'event'>): StagedRecord {
  const { id, pdu, contentHashOk } = event
  return { id, pdu, contentHashOk, origin, at }
}

export function toEntry(seq: number, { id, pdu, contentHashOk, origin, at = 0 }: StagedRecord): StagedEntry {
  const event = { id, pdu: pdu as CheckedEvent['pdu'], contentHashOk }
  const { length } = JSON.stringify(pdu)
  const waiting = { isNew: false, missing: new Set<EventId>(), tries: 0, heardFirst: undefined }
  return { seq, origin, at, event, length, ...waiting, answered: new Set() }
}
