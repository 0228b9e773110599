/**
 * Rooms that were entered without their members, or on a state that no two told alike: finds out, and decides again what
 * was decided meanwhile.
 *
 * Invariants:
 * 1. The mark of such a room is in the store until its state is whole; a restart goes on from it.
 * 2. Who does not answer is asked again with growing pauses, and at once when a peer appears, for as long as a user of
 *    this node is in the room.
 */
import { serverOf } from '@plexus/core'
import type { RoomId, ServerName, UserId } from '@plexus/core'
import { backoffMs } from '../kernel/backoff.ts'
import type { Random } from '../ports.ts'
import { checkCanMeet } from './networks.ts'
import { partialRooms, type PartialRecord } from './records.ts'
import type { RoomRegistry } from './registry.ts'
import { replay, type ReplayDeps } from './replay.ts'
import type { Room } from './room.ts'
import type { RoomSnapshot } from './types.ts'
import type { StateGroup } from './state-groups.ts'
import { confirmedState } from './second-look.ts'
import type { SecondMemberDeps } from './second-member.ts'
import { fetchWholeState, type Whole } from './whole-state.ts'
import { createSteady } from '../kernel/steady.ts'

export const FIRST_PAUSE_MS = 1_000
export const LAST_PAUSE_MS = 900_000
/** The same for a room that lacks nothing, but whose state is to be confirmed: its members may be gone for good. */
export const LAST_CONFIRM_PAUSE_MS: number = 6 * 3_600_000
/** Peers that come and go cause no attempt sooner than this after the last. */
export const MIN_PAUSE_MS = 10_000
/** The same for requests of those that may confirm a state: they may be many, and tell nothing. */
export const HEARD_PAUSE_MS = 300_000
/** Rooms whose members are fetched at a time: each can be large. */
export const MAX_COMPLETED_TOGETHER = 4
/** How long a client waits for the members of a room. */
export const MAX_WHOLE_WAIT_MS = 25_000
/** Requests that wait for one room. */
export const MAX_WAITING = 1_000

export type CompletionDeps = SecondMemberDeps &
  ReplayDeps & {
    readonly registry: RoomRegistry
    readonly random: Random
    readonly leave: (userId: UserId, roomId: RoomId) => Promise<void>
  }

export interface Completion {
  /** Completes the room if it lacks members, or has its state confirmed if nobody did. */
  start(roomId: RoomId): void
  /** Resolves once the room lacks no members; false when that takes too long, or no user of this node is in it. */
  whole(roomId: RoomId): Promise<boolean>
  /** A server is here: it may know the members. */
  kick(server: ServerName): void
  /** A server has made a request: it may confirm a state. */
  heard(server: ServerName): void
  /** Takes up what an earlier process left. */
  resume(): Promise<void>
  /** Resolves when nothing is being fetched (what waits for another attempt may remain). */
  idle(): Promise<void>
  close(): void
}

type Entry = {
  failures: number
  /** When the last attempt ended. */
  triedAt: number
  retryAt: number
  /** The room was entered anew while it was running. */
  again: boolean
  running: Promise<void> | undefined
  /** The servers that may confirm its state, if it lacks nothing else. */
  others: readonly ServerName[] | undefined
  /** Those of them that came since the last attempt began. */
  readonly appeared: Set<ServerName>
  /** What pause after it is enough for them. */
  soonMs: number
  cancelRetry: (() => void) | undefined
  readonly waiting: Set<(isWhole: boolean) => void>
}

export function createCompletion(deps: CompletionDeps): Completion {
  const { clock, registry } = deps
  const steady = createSteady(clock)
  const entries = new Map<RoomId, Entry>()
  let closed = false

  const snapshotOf = async (roomId: RoomId): Promise<RoomSnapshot | undefined> =>
    (await registry.get(roomId))?.snapshot

  /** Starts those that may run. */
  const pump = (): void => {
    let running = [...entries.values()].filter((entry) => entry.running !== undefined).length
    for (const [roomId, entry] of entries) {
      if (closed || running >= MAX_COMPLETED_TOGETHER) return
      if (entry.running !== undefined || entry.cancelRetry !== undefined) continue
      running += 1
      entry.running = attempt(roomId, entry).then((isOver) => {
        entry.running = undefined
        entries.delete(roomId)
        // Behind the others, which may have waited for it.
        if (!isOver || entry.again) entries.set(roomId, entry)
        if (entry.again) startAnew(entry)
        pump()
      })
    }
  }

  /** True when nothing is left to do. */
  const attempt = async (roomId: RoomId, entry: Entry): Promise<boolean> => {
    const appeared = [...entry.appeared]
    entry.appeared.clear()
    entry.soonMs = Infinity
    try {
      const room = await registry.get(roomId)
      const mark = room?.snapshot === undefined ? undefined : await partialRooms.get(deps.store, [roomId])
      const wereAsked = entry.others !== undefined
      entry.others = mark?.unconfirmed?.others
      // By the join itself, just now.
      if (entry.others !== undefined && !wereAsked) throw new Error('no two members told the same')
      const isOver =
        room === undefined ||
        mark === undefined ||
        (await complete(deps, room, mark, { tries: entry.failures, appeared }))
      for (const resolve of entry.waiting) resolve(true)
      // Others are asked from now on.
      if (!isOver) entry.failures = 0
      return isOver
    } catch (error) {
      if (closed) return true
      entry.failures += 1
      entry.triedAt = steady()
      const isWhole = entry.others !== undefined
      const longest = isWhole ? LAST_CONFIRM_PAUSE_MS : LAST_PAUSE_MS
      const pauseMs = Math.min(backoffMs(deps.random, entry.failures, FIRST_PAUSE_MS, longest), entry.soonMs)
      const fields = { roomId, pauseMs, error: String(error) }
      if (isWhole) deps.log.log('info', 'the state of a room is not confirmed yet', fields)
      else deps.log.log('warn', 'the members of a room are still missing', fields)
      if (!(await isHere(roomId))) {
        for (const resolve of entry.waiting) resolve(false)
        return true
      }
      retryAt(entry, entry.triedAt + pauseMs)
      return false
    }
  }

  const isHere = async (roomId: RoomId): Promise<boolean> => {
    const snapshot = await snapshotOf(roomId).catch(() => undefined)
    return snapshot === undefined || snapshot.joinedServers.includes(deps.ownName)
  }

  const retryAt = (entry: Entry, at: number): void => {
    entry.cancelRetry?.()
    entry.retryAt = at
    entry.cancelRetry = clock.after(Math.max(0, at - steady()), () => {
      entry.cancelRetry = undefined
      pump()
    })
  }

  const retrySoon = (entry: Entry, server: ServerName, pauseMs: number): void => {
    if (entry.others?.includes(server) === true) entry.appeared.add(server)
    entry.soonMs = Math.min(entry.soonMs, pauseMs)
    const at = Math.max(steady(), entry.triedAt + pauseMs)
    if (entry.cancelRetry !== undefined && at < entry.retryAt) retryAt(entry, at)
  }

  const entryOf = (roomId: RoomId): Entry => {
    const entry = entries.get(roomId) ?? {
      failures: 0,
      triedAt: 0,
      retryAt: 0,
      again: false,
      running: undefined,
      others: undefined,
      appeared: new Set(),
      soonMs: Infinity,
      cancelRetry: undefined,
      waiting: new Set(),
    }
    entries.set(roomId, entry)
    return entry
  }

  /** What was found out about an earlier stay says nothing of this one. */
  const startAnew = (entry: Entry): void => {
    entry.cancelRetry?.()
    Object.assign(entry, { failures: 0, again: false, others: undefined, cancelRetry: undefined })
  }

  const start = (roomId: RoomId): void => {
    const entry = entryOf(roomId)
    if (entry.running === undefined) startAnew(entry)
    else entry.again = true
    pump()
  }

  return {
    start,
    async whole(roomId) {
      const snapshot = await snapshotOf(roomId)
      if (snapshot?.isPartial !== true) return true
      if (!snapshot.joinedServers.includes(deps.ownName)) return false
      const { waiting } = entryOf(roomId)
      pump()
      if (waiting.size >= MAX_WAITING) return false
      const { promise, resolve } = Promise.withResolvers<boolean>()
      waiting.add(resolve)
      const cancel = clock.after(MAX_WHOLE_WAIT_MS, () => resolve(false))
      return promise.finally(() => {
        cancel()
        waiting.delete(resolve)
      })
    },
    kick(server) {
      for (const entry of entries.values())
        if (entry.others?.includes(server) !== false) retrySoon(entry, server, MIN_PAUSE_MS)
    },
    heard(server) {
      for (const entry of entries.values())
        if (entry.others?.includes(server) === true) retrySoon(entry, server, HEARD_PAUSE_MS)
    },
    async resume() {
      for (const [[roomId]] of await partialRooms.list(deps.store, [])) start(roomId)
    },
    async idle() {
      for (let running = runningOf(entries); running.length > 0; running = runningOf(entries))
        await Promise.all(running)
    },
    close() {
      closed = true
      for (const { cancelRetry, waiting } of entries.values()) {
        cancelRetry?.()
        for (const resolve of waiting) resolve(false)
      }
    },
  }
}

function runningOf(entries: ReadonlyMap<RoomId, Entry>): readonly Promise<void>[] {
  return [...entries.values()].flatMap(({ running }) => running ?? [])
}

/** False where the state is to be confirmed yet. */
async function complete(
  deps: CompletionDeps,
  room: Room,
  mark: PartialRecord,
  { tries, appeared }: { readonly tries: number; readonly appeared: readonly ServerName[] },
): Promise<boolean> {
  const { join, unconfirmed } = mark
  if (mark.whole !== undefined) {
    await replay(deps, room, { join, whole: await deps.groups.load(mark.whole), doubt: mark.doubt })
    return mark.doubt === undefined
  }
  const { whole, doubt }: Whole =
    unconfirmed === undefined
      ? await fetchWholeState(deps, room, mark, tries)
      : { whole: await confirmedState(deps, room, { ...mark, unconfirmed }, { tries, appeared }) }
  await leaveMixed(deps, room, whole)
  await replay(deps, room, { join, whole, doubt })
  return doubt === undefined
}

/** @throws RoomError M_FORBIDDEN after leaving a room in which this node turns out to be with who cannot meet it. */
async function leaveMixed(deps: CompletionDeps, room: Room, { state }: StateGroup): Promise<void> {
  try {
    await checkCanMeet(deps, { joinedServers: [], state }, deps.ownName)
  } catch (error) {
    const own = room.snapshot?.joinedMembers.filter((user) => serverOf(user) === deps.ownName) ?? []
    for (const user of own) await deps.leave(user, room.roomId)
    throw error
  }
}
