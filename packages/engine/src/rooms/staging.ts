/**
 * Events from other servers: checked, taken in (`take-in.ts`), answered; those that wait are processed per room.
 * Invariant: an event is acknowledged only after the commit of the decision about it, or of its place in staging, power
 * cuts included. It leaves staging in the commit that decides it.
 */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { isServerAllowed, parseRoomId, stateKey } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Store } from '../ports.ts'
import type { StagedEntry } from './decide-staged.ts'
import { FIRST_RETRY_MS, LAST_RETRY_MS } from './gap-turns.ts'
import { staged } from './records.ts'
import type { Room } from './room.ts'
import { createStagedRoom, type StagedRoom, type StagedRoomDeps } from './staged-room.ts'
import { lengthOf, takeIn, toEntry } from './take-in.ts'
import type { RoomSnapshot } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

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
        await takeIn({ ...roomDeps, stagedRoom, waitingLength }, origin, room, admitted)
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
