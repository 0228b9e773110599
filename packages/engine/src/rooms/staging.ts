/**
 * Events from other servers: checked, staged durably, answered, then processed per room in order.
 *
 * Invariants:
 * 1. An event is acknowledged only after its place in staging is committed, and leaves staging in the commit that
 *    decides it.
 * 2. An event whose ancestors are missing waits until they are fetched; it is tried again with growing pauses and
 *    whenever a peer appears, for as long as it takes.
 * 3. What one server can put into staging is bounded, so it cannot keep another's events out.
 */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { isServerAllowed, parseRoomId, stateKey } from '@plexus/core'
import type { StateGroup } from './state-groups.ts'
import type { Log, Store } from '../ports.ts'
import { hasPlace, isHistory } from './decide-event.ts'
import type { GapDeps } from './gap-fill.ts'
import { fillGap } from './gap-fill.ts'
import { events as eventTable, staged } from './records.ts'
import type { StagedRecord } from './records.ts'
import type { RoomRegistry } from './registry.ts'
import type { EventInput, Room } from './room.ts'
import type { RoomSnapshot } from './types.ts'
import { RoomError } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/** Events of one server that may wait in one room. */
export const MAX_STAGED_PER_SERVER = 1_000
/** Events that may wait in one room. */
export const MAX_STAGED_PER_ROOM = 10_000
/** Members asked for the missing part, one after the other, before a pause. */
export const MAX_GAP_SERVERS = 3
export const FIRST_RETRY_MS = 1_000
export const LAST_RETRY_MS = 900_000

export type StagingDeps = GapDeps & {
  readonly store: Store
  readonly registry: RoomRegistry
  readonly ownName: ServerName
  readonly log: Log
  /** Resolves once a join of the room that is under way has ended. */
  readonly joining: (roomId: RoomId) => Promise<void>
}

export type Verdicts = Readonly<Record<string, { error?: string }>>

export interface Staging {
  receive(origin: ServerName, pdus: readonly JsonObject[]): Promise<Verdicts>
  /** Takes up what an earlier process left in staging. */
  resume(): Promise<void>
  /** A peer is here: what waits for missing events is tried again. */
  kick(): void
  /** Resolves when nothing is being processed (what waits for a peer may remain). */
  idle(): Promise<void>
}

type Entry = { readonly seq: number; readonly origin: ServerName; readonly event: CheckedEvent }

type RoomStaging = {
  readonly entries: Map<number, Entry>
  readonly ids: Set<EventId>
  readonly perServer: Map<ServerName, number>
  running: Promise<void> | undefined
  again: boolean
  pauseMs: number
  cancelRetry: (() => void) | undefined
}

export function createStaging(deps: StagingDeps): Staging {
  const waiting = new Map<RoomId, RoomStaging>()

  const stagingOf = (roomId: RoomId): RoomStaging => {
    let staging = waiting.get(roomId)
    if (staging === undefined) {
      staging = {
        entries: new Map(),
        ids: new Set(),
        perServer: new Map(),
        running: undefined,
        again: false,
        pauseMs: FIRST_RETRY_MS,
        cancelRetry: undefined,
      }
      waiting.set(roomId, staging)
    }
    return staging
  }

  const start = (roomId: RoomId): void => {
    const staging = stagingOf(roomId)
    staging.cancelRetry?.()
    staging.cancelRetry = undefined
    if (staging.running !== undefined) {
      staging.again = true
      return
    }
    staging.running = drain(deps, roomId, staging)
      .catch((error: unknown) =>
        deps.log.log('error', 'processing staged events failed', { roomId, error: String(error) }),
      )
      .finally(() => {
        staging.running = undefined
        if (staging.entries.size === 0) waiting.delete(roomId)
        else if (staging.again) start(roomId)
        else staging.cancelRetry = deps.clock.after(staging.pauseMs, () => start(roomId))
        staging.again = false
        staging.pauseMs = Math.min(staging.pauseMs * 2, LAST_RETRY_MS)
      })
  }

  // What was decided on top of a failed commit is decided again from staging.
  deps.committer.onFailure(() => {
    for (const staging of waiting.values()) staging.cancelRetry?.()
    waiting.clear()
    deps.clock.after(FIRST_RETRY_MS, () => {
      resume().catch((error: unknown) =>
        deps.log.log('error', 'staging cannot be read', { error: String(error) }),
      )
    })
  })

  const resume = async (): Promise<void> => {
    for (const [[roomId, seq], record] of await staged.list(deps.store, [])) {
      const staging = stagingOf(roomId)
      if (!staging.ids.has(record.id))
        addEntry(staging, { seq, origin: record.origin, event: toChecked(record) })
    }
    for (const roomId of waiting.keys()) start(roomId)
  }

  return {
    resume,
    async receive(origin, pdus) {
      const verdicts: Record<string, { error?: string }> = {}
      for (const [roomId, raw] of byRoom(pdus)) {
        await deps.joining(roomId)
        const room = await deps.registry.get(roomId)
        const accepted = await admit(deps, origin, room, roomId, raw, verdicts)
        const staging = stagingOf(roomId)
        await stage(deps, origin, roomId, staging, accepted)
        if (staging.entries.size > 0) start(roomId)
        else if (staging.running === undefined) waiting.delete(roomId)
      }
      return verdicts
    },
    kick() {
      for (const [roomId, staging] of waiting) {
        staging.pauseMs = FIRST_RETRY_MS
        start(roomId)
      }
    },
    async idle() {
      for (;;) {
        const running = [...waiting.values()].flatMap((staging) => staging.running ?? [])
        if (running.length === 0) break
        await Promise.all(running)
      }
      await deps.committer.idle()
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
  room: Room | undefined,
  roomId: RoomId,
  raw: readonly JsonObject[],
  verdicts: Record<string, { error?: string }>,
): Promise<readonly CheckedEvent[]> {
  const snapshot = room?.snapshot
  if (room === undefined || snapshot === undefined) return []
  const results = await checkEvents(deps.verifier, room.version, roomId, raw)
  const refusal = await refuses(deps, origin, snapshot)
  const accepted: CheckedEvent[] = []
  for (const result of results) {
    if (result.kind === 'drop') {
      deps.log.log('warn', 'a PDU was dropped', { roomId, origin, why: result.why })
      continue
    }
    verdicts[result.event.id] = refusal === undefined ? {} : { error: refusal }
    if (refusal === undefined) accepted.push(result.event)
  }
  return accepted
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

async function stage(
  deps: StagingDeps,
  origin: ServerName,
  roomId: RoomId,
  staging: RoomStaging,
  events: readonly CheckedEvent[],
): Promise<void> {
  const known = await deps.events.working(events.map(({ id }) => id))
  const replaced = events.filter((event, index) => known[index]?.hashMismatch === true && event.contentHashOk)
  await replaceMismatched(deps, replaced)
  const isKnown = (index: number): boolean => hasPlace(known[index]) || isHistory(known[index])
  const fresh = events.filter((event, index) => !isKnown(index) && !staging.ids.has(event.id))
  if (fresh.length === 0) return
  const full = staging.entries.size + fresh.length > MAX_STAGED_PER_ROOM
  if (full || (staging.perServer.get(origin) ?? 0) + fresh.length > MAX_STAGED_PER_SERVER) {
    throw new RoomError('M_LIMIT_EXCEEDED', 'too many events of this room wait to be processed')
  }
  for (const { id } of fresh) staging.ids.add(id)
  try {
    const first = await deps.committer.submit({
      positions: fresh.length,
      writes: (position) =>
        fresh.map((event, index) => staged.put([roomId, position + index], toStaged(event, origin))),
    })
    fresh.forEach((event, index) => addEntry(staging, { seq: first + index, origin, event }))
  } catch (error) {
    for (const { id } of fresh) staging.ids.delete(id)
    throw error
  }
}

/** A copy whose content matches its hash takes the place of the redacted one that did not. */
async function replaceMismatched(deps: StagingDeps, events: readonly CheckedEvent[]): Promise<void> {
  for (const { id, pdu } of events) {
    const record = await deps.events.get(id)
    if (record?.hashMismatch !== true || record.redactedBy !== undefined) continue
    const { hashMismatch: _, ...rest } = record
    const whole = { ...rest, pdu }
    await deps.committer.submit({
      writes: () => [eventTable.put([id], whole)],
      publish: () => deps.events.adopt(whole),
    })
  }
}

function addEntry(staging: RoomStaging, entry: Entry): void {
  staging.entries.set(entry.seq, entry)
  staging.ids.add(entry.event.id)
  staging.perServer.set(entry.origin, (staging.perServer.get(entry.origin) ?? 0) + 1)
}

function removeEntry(staging: RoomStaging, entry: Entry): void {
  staging.entries.delete(entry.seq)
  staging.ids.delete(entry.event.id)
  const left = (staging.perServer.get(entry.origin) ?? 1) - 1
  if (left === 0) staging.perServer.delete(entry.origin)
  else staging.perServer.set(entry.origin, left)
}

function toStaged({ id, pdu, contentHashOk }: CheckedEvent, origin: ServerName): StagedRecord {
  return { id, pdu, contentHashOk, origin }
}

function toChecked({ id, pdu, contentHashOk }: StagedRecord): CheckedEvent {
  return { id, pdu: pdu as CheckedEvent['pdu'], contentHashOk }
}

/** Decides all that can be decided, fetching what is missing; leaves what nobody can help with. */
async function drain(deps: StagingDeps, roomId: RoomId, staging: RoomStaging): Promise<void> {
  const room = await deps.registry.get(roomId)
  if (room === undefined) return
  const stuck = new Set<number>()
  for (;;) {
    const blocked = await decideReady(deps, room, staging, stuck)
    if (blocked === undefined) break
    if (!(await unblock(deps, room, blocked))) stuck.add(blocked.seq)
    else staging.pauseMs = FIRST_RETRY_MS
  }
}

/** Decides entries in order until no more can be; answers with the first that misses something. */
async function decideReady(
  deps: StagingDeps,
  room: Room,
  staging: RoomStaging,
  stuck: ReadonlySet<number>,
): Promise<Entry | undefined> {
  for (;;) {
    let blocked: Entry | undefined
    let progress = false
    const entries = [...staging.entries.values()]
    // One read for all: decisions themselves then find what they need in memory.
    const known = await deps.events.working(entries.map(({ event }) => event.id))
    for (const [index, entry] of entries.entries()) {
      const isNew = known[index] === undefined
      if (!(await decideEntry(deps, room, entry, { isNew }))) {
        removeEntry(staging, entry)
        progress = true
      } else if (!stuck.has(entry.seq)) blocked ??= entry
    }
    if (!progress || (blocked === undefined && staging.entries.size === 0)) return blocked
  }
}

/** True when something that the event needs is missing. */
async function decideEntry(
  deps: StagingDeps,
  room: Room,
  { event, seq, origin }: Entry,
  more: Pick<EventInput, 'isNew' | 'claims'>,
): Promise<boolean> {
  const unstage = staged.delete([room.roomId, seq])
  return room.run(async (turn) => {
    const outcome = await turn.decide({ ...event, ...more, writes: [unstage] })
    if (outcome.kind === 'missing') return true
    if (outcome.kind !== 'accept' && outcome.kind !== 'known') {
      const { kind, why } = outcome
      deps.log.log('warn', `an event was not accepted: ${kind}`, { eventId: event.id, origin, why })
    }
    submitLater(deps, turn.submit(outcome.change ?? { writes: () => [unstage] }))
    return false
  })
}

/** A failed commit is told to the committer's failure listeners, which start over from staging. */
function submitLater(deps: StagingDeps, commit: Promise<number>): void {
  commit.catch((error: unknown) =>
    deps.log.log('error', 'a decided event was not committed', { error: String(error) }),
  )
}

/** Fetches and decides what lies before an entry. True when the entry can be tried again. */
async function unblock(deps: StagingDeps, room: Room, entry: Entry): Promise<boolean> {
  const servers = [entry.origin, ...(room.snapshot?.joinedServers ?? [])].filter(
    (server) => server !== deps.ownName,
  )
  for (const server of [...new Set(servers)].slice(0, MAX_GAP_SERVERS)) {
    try {
      const heads = room.snapshot?.heads ?? []
      const backward = await room.run((turn) => Promise.resolve(turn.copy?.backward ?? []))
      const filled = await fillGap(deps, {
        roomId: room.roomId,
        version: room.version,
        heads,
        backward,
        event: entry.event,
        server,
      })
      for (const event of filled.events) await decideFetched(deps, room, event, filled.claims)
      if (!(await decideEntry(deps, room, entry, { claims: claimsFor(entry.event, filled.claims) })))
        return true
    } catch (error) {
      deps.log.log('info', 'a member did not fill a gap', {
        roomId: room.roomId,
        server,
        error: String(error),
      })
    }
  }
  return false
}

async function decideFetched(
  deps: StagingDeps,
  room: Room,
  event: CheckedEvent,
  claims: ReadonlyMap<EventId, StateGroup>,
): Promise<void> {
  await room.run(async (turn) => {
    const { change } = await turn.decide({ ...event, claims: claimsFor(event, claims) })
    if (change !== undefined) submitLater(deps, turn.submit(change))
  })
}

function claimsFor(
  event: CheckedEvent,
  claims: ReadonlyMap<EventId, StateGroup>,
): ReadonlyMap<EventId, StateGroup> {
  return new Map([...claims].filter(([id]) => event.pdu.prev_events.includes(id)))
}
