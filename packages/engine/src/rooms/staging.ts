/**
 * Events from other servers: checked, taken in (`take-in.ts`), answered; those that wait are processed per room.
 * Invariant: an event is acknowledged only after the commit of the decision about it, or of its place in staging, power
 * cuts included. It leaves staging in the commit that decides it.
 */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { parseRoomId, serverOf } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { LookupOptions } from '../keys/types.ts'
import type { Random, Store } from '../ports.ts'
import type { StagedEntry } from './decide-staged.ts'
import { aclOf } from './acl.ts'
import { FIRST_RETRY_MS, LAST_RETRY_MS } from './gap-turns.ts'
import { keepEarly } from './invite-packages.ts'
import { membershipOf } from './copy.ts'
import { mayJoin } from './may-join.ts'
import { takeFromOutside, type Outsiders } from './outsiders.ts'
import { createParked } from './parked.ts'
import { recommendAll } from './policy.ts'
import { staged, type ParkedRecord } from './records.ts'
import { isHere } from './remote-join.ts'
import type { Room } from './room.ts'
import { createStagedRoom, type StagedRoom, type StagedRoomDeps } from './staged-room.ts'
import { lengthOf, takeIn, toEntry, type TakeInDeps } from './take-in.ts'
import type { RoomSnapshot } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'
import { createWords } from './words.ts'

/** Events that were fetched for what waits, until that is decided. */
export const MAX_AHEAD = 200

export type StagingDeps = Omit<StagedRoomDeps, 'words' | 'ahead'> & {
  readonly store: Store
  readonly random: Random
  /** Runs once a join of the room that is under way has ended; the next one waits. */
  readonly whileNobodyJoins: <T>(roomId: RoomId, work: () => Promise<T>) => Promise<T>
  readonly outsiders: Outsiders
}

export type Verdicts = Readonly<Record<string, { error?: string }>>

export interface Staging {
  receive(origin: ServerName, pdus: readonly JsonObject[]): Promise<Verdicts>
  /** True for an event that waits. */
  holds(roomId: RoomId, id: EventId): boolean
  /** Takes up what an earlier process left in staging. */
  resume(): Promise<void>
  /** A peer is here: what waits for missing events is tried again. */
  kick(server: ServerName): void
  /** Resolves when nothing is being processed (what waits for a peer may remain). */
  idle(): Promise<void>
  close(): void
}

export function createStaging(deps: StagingDeps): Staging {
  const roomDeps = { ...deps, words: createWords(), ahead: createLru<string, CheckedEvent>(MAX_AHEAD) }
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

  const receive: Receive = (origin, pdus, options = {}) => {
    const into = { ...roomDeps, stagedRoom, waitingLength }
    return receiveAll(into, origin, pdus, options)
  }

  const parked = createParked({
    ...deps,
    async receive(origin, records) {
      const since = Math.max(...records.map(({ at }) => at))
      const pdus = records.map(({ pdu }) => pdu)
      const { unproven } = await receive(origin, pdus, { waitMs: 0, since })
      const ids = new Set(unproven.map(({ id }) => id))
      return new Set(records.filter(({ id }) => ids.has(id)))
    },
  })

  return {
    holds: (roomId, id) => waiting.get(roomId)?.get(id) !== undefined,
    async resume() {
      await resume()
      await parked.resume()
    },
    async receive(origin, pdus) {
      // Its own join may have waited for the key that proved this very transaction.
      await parked.ready(origin)
      const { verdicts, unproven } = await receive(origin, pdus)
      if (unproven.length === 0) return verdicts
      const refused = await parked.park(unproven)
      const error = 'too many events of this server wait for keys'
      return { ...verdicts, ...Object.fromEntries([...refused].map((id) => [id, { error }])) }
    },
    kick(server) {
      for (const room of waiting.values()) room.kick(server)
    },
    async idle() {
      await parked.idle()
      await Promise.all([...waiting.values()].map((room) => room.idle()))
      await deps.committer.idle()
    },
    close() {
      closed = true
      parked.close()
      cancelRestart?.()
      closeRooms()
    },
  }
}

type Received = { readonly verdicts: Verdicts; readonly unproven: readonly ParkedRecord[] }
type Receive = (origin: ServerName, pdus: readonly JsonObject[], options?: LookupOptions) => Promise<Received>

/** Takes in what can be checked; the others wait for a key, where they may come at all. */
async function receiveAll(
  deps: StagingDeps & TakeInDeps,
  origin: ServerName,
  pdus: readonly JsonObject[],
  options: LookupOptions,
): Promise<Received> {
  const verdicts: Record<string, { error?: string }> = {}
  const unproven: ParkedRecord[] = []
  for (const [roomId, given] of byRoom(pdus)) {
    const { room, taken } = await deps.whileNobodyJoins(roomId, async () => {
      const found = await deps.registry.get(roomId)
      const isOutside = found === undefined || !isHere(found, deps.ownName)
      const ended = isOutside ? await takeFromOutside(deps, origin, roomId, given) : undefined
      // A join that came in between would take what is kept before it is.
      if (found?.snapshot === undefined) await keepEarly(deps, origin, roomId, given)
      return { room: found, taken: ended }
    })
    for (const id of taken?.values() ?? []) verdicts[id] = {}
    if (room?.snapshot === undefined) continue
    const raw = given.filter((pdu) => taken?.has(pdu) !== true)
    const isMember = isIn(origin, room.snapshot)
    const lookup = { ...options, broughtBy: origin, forStranger: !isMember }
    const { proven, unknown } = await check(deps, origin, room, raw, lookup)
    const take = async (snapshot: RoomSnapshot): Promise<void> => {
      const admitted = await admit(deps, origin, snapshot, proven, verdicts)
      await takeIn(deps, origin, room, await recommendAll(deps, room, admitted))
    }
    await take(room.snapshot)
    // Whose join was among them may say what came with it.
    if (!isMember && isIn(origin, room.snapshot)) await take(room.snapshot)
    const waiting = await admit(deps, origin, room.snapshot, [...unknown.keys()], verdicts)
    const at = deps.clock.now()
    for (const event of waiting)
      unproven.push({ id: event.id, pdu: event.pdu, origin, server: unknown.get(event) ?? origin, at })
  }
  return { verdicts, unproven }
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

/**
 * Those of the events that are whole and signed, and those whose signature cannot be checked yet, with whose key cannot
 * be had. spec: server-server-api.md "Checks performed on receipt of a PDU"
 */
async function check(
  deps: StagingDeps,
  origin: ServerName,
  { roomId, version }: Room,
  raw: readonly JsonObject[],
  options: LookupOptions,
): Promise<{
  readonly proven: readonly CheckedEvent[]
  readonly unknown: ReadonlyMap<CheckedEvent, ServerName>
}> {
  const proven: CheckedEvent[] = []
  const unknown = new Map<CheckedEvent, ServerName>()
  for (const result of await checkEvents(deps, version, roomId, raw, options)) {
    if (result.kind === 'ok') proven.push(result.event)
    else if (result.kind === 'unknownKey') unknown.set(result.event, result.server)
    else deps.log.log('warn', 'a PDU was dropped', { roomId, origin, why: result.why })
  }
  return { proven, unknown }
}

/** Those that this server may bring to the room. DESIGN "Inbound" */
async function admit(
  deps: StagingDeps,
  origin: ServerName,
  snapshot: RoomSnapshot,
  checked: readonly CheckedEvent[],
  verdicts: Record<string, { error?: string }>,
): Promise<readonly CheckedEvent[]> {
  const isAllowed = await aclOf((id) => deps.events.get(id), snapshot)
  const denied = isAllowed(origin) ? undefined : 'the server ACL of the room denies the sending server'
  const accepted = new Map<EventId, CheckedEvent>()
  for (const event of checked) {
    const mayBring = isIn(origin, snapshot) || (await isAwaitedJoin(deps, origin, snapshot, event))
    const refusal = denied ?? (mayBring ? undefined : 'the sending server is not in the room')
    verdicts[event.id] = refusal === undefined ? {} : { error: refusal }
    const isBetter = accepted.get(event.id)?.contentHashOk !== true
    if (refusal === undefined && isBetter) accepted.set(event.id, event)
  }
  return [...accepted.values()]
}

function isIn(server: ServerName, snapshot: RoomSnapshot | undefined): boolean {
  return snapshot?.joinedServers.includes(server) ?? false
}

/**
 * The join of a user of a server that is not in the room yet, who may come as far as this node knows: the server through
 * which they joined may be gone before it passed the join on.
 */
async function isAwaitedJoin(
  deps: StagingDeps,
  origin: ServerName,
  snapshot: RoomSnapshot,
  { pdu }: CheckedEvent,
): Promise<boolean> {
  const { sender, state_key: key } = pdu
  if (membershipOf(pdu) !== 'join' || key !== sender || serverOf(sender) !== origin) return false
  // Their invite may be among what is not known yet.
  return snapshot.isPartial === true || mayJoin(deps.events, snapshot.state, pdu)
}
