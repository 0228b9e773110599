/**
 * Events from other servers: checked, staged durably, answered, then processed per room in order.
 *
 * Invariants:
 * 1. An event is acknowledged only after its place in staging is committed, power cuts included, and leaves staging in
 *    the commit that decides it.
 * 2. What one server can put into staging is bounded, so it cannot keep another's events out. What is over the bound is
 *    refused; only what waited in vain for long makes room for it.
 */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { isServerAllowed, parseRoomId, stateKey } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Store } from '../ports.ts'
import { hasPlace, isHistory } from './case.ts'
import type { StagedEntry } from './decide-staged.ts'
import { FIRST_RETRY_MS, LAST_RETRY_MS } from './gap-turns.ts'
import { events as eventTable, staged } from './records.ts'
import type { StagedRecord } from './records.ts'
import type { Room } from './room.ts'
import { createStagedRoom, type StagedRoom, type StagedRoomDeps } from './staged-room.ts'
import type { EventRecord, RoomSnapshot } from './types.ts'
import { RoomError } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

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
/** Events whose rejection waits for a second member's word. */
const MAX_DOUBTS = 1_000

export type StagingDeps = Omit<StagedRoomDeps, 'doubts'> & {
  readonly store: Store
  /** Resolves once a join of the room that is under way has ended. */
  readonly joining: (roomId: RoomId) => Promise<void>
}

export type Verdicts = Readonly<Record<string, { error?: string }>>

export interface Staging {
  receive(origin: ServerName, pdus: readonly JsonObject[]): Promise<Verdicts>
  /** Takes up what an earlier process left in staging. */
  resume(): Promise<void>
  /** A peer is here: what waits for missing events is tried again. */
  kick(server: ServerName): void
  /** Resolves when nothing is being processed (what waits for a peer may remain). */
  idle(): Promise<void>
  close(): void
}

export function createStaging(deps: StagingDeps): Staging {
  const roomDeps = { ...deps, doubts: createLru<EventId, ReadonlySet<ServerName>>(MAX_DOUBTS) }
  const waiting = new Map<RoomId, StagedRoom>()
  let cancelRestart: (() => void) | undefined
  let restartMs = FIRST_RETRY_MS
  let closed = false

  const stagedRoom = (roomId: RoomId): StagedRoom => {
    const known = waiting.get(roomId)
    if (known !== undefined) return known
    const room = createStagedRoom(roomDeps, roomId, () => waiting.delete(roomId))
    waiting.set(roomId, room)
    return room
  }

  const waitingLength = (origin: ServerName): number => {
    let length = 0
    for (const room of waiting.values()) length += lengthOf(room.ofServer(origin))
    return length
  }

  const closeRooms = (): void => {
    for (const room of waiting.values()) room.close()
    waiting.clear()
  }

  // What was decided on top of a failed commit is decided again from staging.
  deps.committer.onFailure(({ code }) => {
    closeRooms()
    if (closed || cancelRestart !== undefined || code === 'fenced' || code === 'closed') return
    cancelRestart = deps.clock.after(restartMs, () => {
      cancelRestart = undefined
      resume().catch((error: unknown) =>
        deps.log.log('error', 'staging cannot be read', { error: String(error) }),
      )
    })
    restartMs = Math.min(restartMs * 2, LAST_RETRY_MS)
  })
  deps.committer.onCommit(() => {
    restartMs = FIRST_RETRY_MS
  })

  const resume = async (): Promise<void> => {
    const found = new Map<RoomId, StagedEntry[]>()
    for (const [[roomId, seq], record] of await staged.list(deps.store, [])) {
      const isHere = waiting.get(roomId)?.get(record.id) !== undefined
      if (!isHere) found.set(roomId, [...(found.get(roomId) ?? []), toEntry(seq, record)])
    }
    if (closed) return
    for (const [roomId, entries] of found) stagedRoom(roomId).add(entries)
  }

  return {
    resume,
    async receive(origin, pdus) {
      const verdicts: Record<string, { error?: string }> = {}
      for (const [roomId, raw] of byRoom(pdus)) {
        await deps.joining(roomId)
        const room = await deps.registry.get(roomId)
        if (room?.snapshot === undefined) continue
        const admitted = await admit(deps, origin, room, room.snapshot, raw, verdicts)
        await stage({ ...deps, stagedRoom, waitingLength }, origin, room, admitted)
      }
      return verdicts
    },
    kick(server) {
      for (const room of waiting.values()) room.kick(server)
    },
    async idle() {
      await Promise.all([...waiting.values()].map((room) => room.idle()))
      await deps.committer.idle()
    },
    close() {
      closed = true
      cancelRestart?.()
      closeRooms()
    },
  }
}

function byRoom(pdus: readonly JsonObject[]): Map<RoomId, JsonObject[]> {
  const rooms = new Map<RoomId, JsonObject[]>()
  for (const pdu of pdus) {
    const roomId = typeof pdu['room_id'] === 'string' ? parseRoomId(pdu['room_id']) : undefined
    // A PDU without a room id has no event id that could be computed: nothing to answer about.
    if (roomId === undefined) continue
    const list = rooms.get(roomId)
    if (list === undefined) rooms.set(roomId, [pdu])
    else list.push(pdu)
  }
  return rooms
}

/** Checks before staging. spec: server-server-api.md "Checks performed on receipt of a PDU", DESIGN "Inbound" */
async function admit(
  deps: StagingDeps,
  origin: ServerName,
  room: Room,
  snapshot: RoomSnapshot,
  raw: readonly JsonObject[],
  verdicts: Record<string, { error?: string }>,
): Promise<readonly CheckedEvent[]> {
  const { roomId, version } = room
  const results = await checkEvents(deps.verifier, version, roomId, raw)
  const refusal = await refuses(deps, origin, snapshot)
  const accepted = new Map<EventId, CheckedEvent>()
  for (const result of results) {
    if (result.kind === 'drop') {
      deps.log.log('warn', 'a PDU was dropped', { roomId, origin, why: result.why })
      continue
    }
    const { event } = result
    verdicts[event.id] = refusal === undefined ? {} : { error: refusal }
    const isBetter = accepted.get(event.id)?.contentHashOk !== true
    if (refusal === undefined && isBetter) accepted.set(event.id, event)
  }
  return [...accepted.values()]
}

/** Why nothing of this server is taken for the room, if so. */
async function refuses(
  deps: StagingDeps,
  origin: ServerName,
  snapshot: RoomSnapshot,
): Promise<string | undefined> {
  if (!snapshot.joinedServers.includes(origin)) return 'the sending server is not in the room'
  const aclId = snapshot.state.get(stateKey('m.room.server_acl', ''))
  const acl = aclId === undefined ? undefined : (await deps.events.get(aclId))?.pdu.content
  return isServerAllowed(acl, origin) ? undefined : 'the server ACL of the room denies the sending server'
}

type StageDeps = StagingDeps & {
  readonly stagedRoom: (roomId: RoomId) => StagedRoom
  /** JSON text of the events of one server that wait in any room. */
  readonly waitingLength: (origin: ServerName) => number
}

async function stage(
  deps: StageDeps,
  origin: ServerName,
  room: Room,
  events: readonly CheckedEvent[],
): Promise<void> {
  const { roomId } = room
  const known = await deps.events.working(events.map(({ id }) => id))
  await replaceMismatched(
    deps,
    room,
    events.filter((_, index) => known[index]?.hashMismatch === true),
  )
  const waiting = deps.stagedRoom(roomId)
  const fresh: { event: CheckedEvent; isNew: boolean }[] = []
  const better: [StagedEntry, CheckedEvent][] = []
  events.forEach((event, index) => {
    const held = waiting.get(event.id)
    if (held !== undefined && !held.event.contentHashOk && event.contentHashOk) better.push([held, event])
    if (held !== undefined || waiting.arriving.has(event.id)) return
    if (!hasPlace(known[index]) && !isHistory(known[index]))
      fresh.push({ event, isNew: known[index] === undefined })
  })
  for (const { event } of fresh) waiting.arriving.add(event.id)
  try {
    if (fresh.length === 0 && better.length === 0) return
    const at = deps.clock.now()
    const recordOf = ({ id, pdu, contentHashOk }: CheckedEvent): StagedRecord => {
      return { id, pdu, contentHashOk, origin, at }
    }
    const added = fresh.map(({ event, isNew }) => ({ ...toEntry(0, recordOf(event)), isNew }))
    const leaving = makeSpace(deps, waiting, origin, added)
    const first = await deps.committer.submit({
      durability: 'strict',
      positions: Math.max(fresh.length, 1),
      writes: (position) => [
        ...leaving.map(({ seq }) => staged.delete([roomId, seq])),
        ...better.flatMap(([held, event]) => {
          return waiting.get(event.id) === held ? [staged.put([roomId, held.seq], recordOf(event))] : []
        }),
        ...fresh.map(({ event }, index) => staged.put([roomId, position + index], recordOf(event))),
      ],
    })
    for (const entry of leaving) waiting.remove(entry)
    for (const [held, event] of better) held.event = event
    // A failed commit in between may have put another in the place of the room that the events were held in.
    deps.stagedRoom(roomId).add(added.map((entry, index) => ({ ...entry, seq: first + index })))
    await replaceMismatched(
      deps,
      room,
      better.flatMap(([, event]) => (waiting.get(event.id) === undefined ? [event] : [])),
    )
  } finally {
    for (const { event } of fresh) waiting.arriving.delete(event.id)
    waiting.settle()
  }
}

/** The entries that give way to new ones. @throws RoomError when there is no room for these. */
function makeSpace(
  deps: StageDeps,
  waiting: StagedRoom,
  origin: ServerName,
  fresh: readonly StagedEntry[],
): readonly StagedEntry[] {
  const own = waiting.ofServer(origin)
  const limit = waiting.size > MAX_STAGED_PER_ROOM ? MIN_STAGED_PER_SERVER : MAX_STAGED_PER_SERVER
  const over = Math.max(0, own.length + fresh.length - limit)
  const overLength = deps.waitingLength(origin) + lengthOf(fresh) - MAX_STAGED_LENGTH
  if (fresh.length === 0 || (over === 0 && overLength <= 0)) return []
  const stale = own.filter(({ at, missing }) => missing.size > 0 && at < deps.clock.now() - STALE_STAGED_MS)
  const leaving = overLength > 0 ? stale : stale.slice(0, over)
  if (leaving.length < over || lengthOf(leaving) < overLength)
    throw new RoomError('M_LIMIT_EXCEEDED', 'too many events of this server wait to be processed')
  return leaving
}

function lengthOf(entries: readonly StagedEntry[]): number {
  return entries.reduce((sum, { length }) => sum + length, 0)
}

/** Copies whose content matches its hash take the place of the redacted ones that did not. */
async function replaceMismatched(
  deps: StagingDeps,
  room: Room,
  copies: readonly CheckedEvent[],
): Promise<void> {
  const whole = copies.filter(({ contentHashOk }) => contentHashOk)
  if (whole.length === 0) return
  const { done } = await room.run(async (turn) => {
    await deps.events.working(whole.map(({ id }) => id))
    let replaced: EventRecord[] = []
    const change = {
      writes: () => {
        replaced = whole.flatMap(({ id, pdu }) => {
          const record = deps.events.peek(id)
          if (record?.hashMismatch !== true || record.redactedBy !== undefined) return []
          const { hashMismatch: _, ...rest } = record
          return [{ ...rest, pdu }]
        })
        for (const record of replaced) deps.events.stage(record)
        return replaced.map((record) => eventTable.put([record.id], record))
      },
      publish: () => {
        for (const record of replaced) deps.events.adopt(record)
      },
    }
    return { done: turn.submit(change) }
  })
  await done
}

function toEntry(seq: number, { id, pdu, contentHashOk, origin, at = 0 }: StagedRecord): StagedEntry {
  const event = { id, pdu: pdu as CheckedEvent['pdu'], contentHashOk }
  const { length } = JSON.stringify(pdu)
  return { seq, origin, at, event, length, isNew: false, missing: new Set(), tries: 0 }
}
