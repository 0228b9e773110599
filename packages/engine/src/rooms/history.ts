/** Fetching history from before this node was in the room. */
import type { EventId, JsonValue, ServerName } from '@plexus/core'
import { authEventIds, prevEventIds, serverOf } from '@plexus/core'
import type { CallOptions, Clock, Write } from '../ports.ts'
import { MAX_BACKWARD } from './accept-event.ts'
import { newEventWrites } from './auth-graph.ts'
import { fetchAuthEvents, fetchWhole, MAX_FETCHED_STATE_EVENTS } from './claims.ts'
import { MAX_GAP_MS } from './gap.ts'
import { inRoomOrder, judgeOutliers } from './outliers.ts'
import { rooms } from './records.ts'
import { redactedRecord, redactionOf, unredactedWrites } from './redaction.ts'
import { placeWrites } from './relation.ts'
import type { RemoteDeps } from './remote-join.ts'
import type { Room } from './room.ts'
import { toRecord } from './copy.ts'
import type { EventRecord } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/** Events asked for at once. spec: server-server-api.md GET /backfill */
export const BACKFILL_BATCH = 100
/** Members asked, at most. */
export const MAX_BACKFILL_SERVERS = 4
/** How long one of them is waited for: somebody scrolls. */
const BACKFILL_TIMEOUT_MS = 10_000
/** Another one is asked as well when nothing came for this long. */
const SILENCE_MS = 2_000
/** Pages of history that are fetched for what lies at a time. */
export const MAX_PAGES_TO_TIME = 20

/** Fetches a page of history before the known part. True when there was something new. */
export async function backfillRoom(deps: RemoteDeps, room: Room, signal?: AbortSignal): Promise<boolean> {
  const from = await room.run((turn) => Promise.resolve(turn.copy?.backward ?? []))
  if (from.length === 0) return false
  const fetchPage = async (server: ServerName): Promise<boolean> => {
    try {
      const options = optionsOf(signal)
      const { pdus } = await deps.federation.backfill(server, room.roomId, from, BACKFILL_BATCH, options)
      return await keepHistory(deps, room, server, from, pdus.slice(0, BACKFILL_BATCH))
    } catch (error) {
      deps.log.log('info', 'a member gave no history', { roomId: room.roomId, server, error: String(error) })
      return false
    }
  }
  const isNew = await firstUseful(deps.clock, serversFor(deps, room), fetchPage)
  signal?.throwIfAborted()
  return isNew
}

/**
 * Asks one after the other, and the next as well once one has said nothing for a while; the first that helps decides.
 * `ask` does not reject.
 */
function firstUseful(
  clock: Clock,
  servers: readonly ServerName[],
  ask: (server: ServerName) => Promise<boolean>,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const waiting = [...servers]
  let running = 0
  let isOver = false
  const finish = (isUseful: boolean): void => {
    isOver = true
    resolve(isUseful)
  }
  const askNext = (): void => {
    const server = waiting.shift()
    if (isOver || server === undefined) {
      if (running === 0) finish(false)
      return
    }
    running += 1
    const cancel = clock.after(SILENCE_MS, askNext)
    void ask(server).then((isUseful) => {
      cancel()
      running -= 1
      if (isUseful) finish(true)
      else askNext()
    })
  }
  askNext()
  return promise
}

const optionsOf = (signal: AbortSignal | undefined): CallOptions => ({
  timeoutMs: BACKFILL_TIMEOUT_MS,
  ...(signal === undefined ? {} : { signal }),
})

/** Fetches history down to the event that a member finds at a time. True when there was something new. */
export async function backfillTo(
  deps: RemoteDeps,
  room: Room,
  { ts, direction }: { readonly ts: number; readonly direction: 'f' | 'b' },
  signal?: AbortSignal,
): Promise<boolean> {
  const from = await room.run((turn) => Promise.resolve(turn.copy?.backward ?? []))
  if (from.length === 0) return false
  for (const server of serversFor(deps, room)) {
    const options = optionsOf(signal)
    const found = await deps.federation
      .timestampToEvent(server, room.roomId, ts, direction, options)
      .catch((error: unknown) => {
        signal?.throwIfAborted()
        const fields = { roomId: room.roomId, server, error: String(error) }
        deps.log.log('info', 'a member found no event at a time', fields)
        return undefined
      })
    if (found !== undefined) return fetchDownTo(deps, room, found.eventId, signal)
  }
  return false
}

async function fetchDownTo(
  deps: RemoteDeps,
  room: Room,
  id: EventId,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (let pages = 0; pages < MAX_PAGES_TO_TIME; pages += 1) {
    if (isPlaced(await deps.events.get(id))) return pages > 0
    if (!(await backfillRoom(deps, room, signal))) return pages > 0
  }
  return true
}

/** Some of the other members, others each time, since any may be away. */
function serversFor(deps: RemoteDeps, room: Room): readonly ServerName[] {
  const all = (room.snapshot?.joinedServers ?? []).filter((server) => server !== deps.ownName)
  const start = all.length === 0 ? 0 : deps.clock.now() % all.length
  return [...all.slice(start), ...all.slice(0, start)].slice(0, MAX_BACKFILL_SERVERS)
}

async function keepHistory(
  deps: RemoteDeps,
  room: Room,
  server: ServerName,
  from: readonly EventId[],
  raw: readonly JsonValue[],
): Promise<boolean> {
  const results = await checkEvents(deps, room.version, room.roomId, raw, { broughtBy: server })
  const checked = new Map<EventId, CheckedEvent>()
  for (const result of results) if (result.kind === 'ok') checked.set(result.event.id, result.event)
  const found = await reachable(deps, from, checked)
  if (found.size === 0) return false
  await fetchMissingAuth(deps, room, server, [...found.values()])
  const { done } = await room.run(async (turn) => {
    const { copy } = turn
    if (copy === undefined) throw new Error('a room without state has no history')
    const shown = await recordsOf(deps, room, found)
    const parents = [...found.values()].flatMap(({ pdu }) => prevEventIds(pdu))
    const left = [...new Set([...copy.backward, ...parents])].filter((id) => !found.has(id))
    const backward = (await unplacedOf(deps, left)).slice(0, MAX_BACKWARD)
    const next = { ...copy, lowestOrder: copy.lowestOrder - shown.length, backward }
    const publish = turn.replace(next)
    let placed: EventRecord[] = []
    const change = {
      writes: (position: number) => {
        placed = shown.map((record, index) => ({ ...record, position, order: next.lowestOrder + index }))
        const kept = placed.flatMap(({ id, redactedBy }) => {
          const pdu = redactedBy === undefined ? undefined : found.get(id)?.pdu
          return pdu === undefined ? [] : unredactedWrites(copy, id, pdu)
        })
        return [...placed.flatMap(recordWrites), ...kept, rooms.put([room.roomId], toRecord(next, position))]
      },
      publish: (position: number) => {
        for (const record of placed) deps.events.adopt(record)
        publish(position)
      },
    }
    return { done: turn.submit(change) }
  })
  await done
  return true
}

/** The records to place, oldest first: of what is accepted and has no place, which may have changed since it was asked for. */
async function recordsOf(
  deps: RemoteDeps,
  room: Room,
  found: ReadonlyMap<EventId, CheckedEvent>,
): Promise<readonly EventRecord[]> {
  const { version, roomId } = room
  const input = { version, roomId, receivedAt: deps.clock.now(), basis: 'partial' as const }
  const judged = await judgeOutliers(deps.events, input, [...found.values()])
  const records = new Map(judged.map((record) => [record.id, record]))
  // An event that was known as state already is judged already.
  for (const record of await deps.events.working([...found.keys()])) {
    if (record !== undefined) records.set(record.id, record)
  }
  const shown: EventRecord[] = []
  for (const { id, pdu } of inRoomOrder(found)) {
    const record = records.get(id)
    if (record === undefined || record.verdict === 'rejected' || isPlaced(record)) continue
    const by = await redactionOf(deps, roomId, id, serverOf(pdu.sender))
    shown.push(redactedRecord(version, record, by))
  }
  return shown
}

function isPlaced(record: EventRecord | undefined): boolean {
  return record?.order !== undefined || record?.stateGroup !== undefined
}

/** Only what hangs together with the known part of the room: a member cannot slip in what nobody refers to. */
async function reachable(
  deps: RemoteDeps,
  from: readonly EventId[],
  checked: ReadonlyMap<EventId, CheckedEvent>,
): Promise<Map<EventId, CheckedEvent>> {
  const found = new Map<EventId, CheckedEvent>()
  const queue = [...from]
  for (const id of queue) {
    const event = checked.get(id)
    if (event === undefined || found.has(id)) continue
    found.set(id, event)
    queue.push(...prevEventIds(event.pdu))
  }
  const known = await deps.events.working([...found.keys()])
  for (const record of known) if (record !== undefined && isPlaced(record)) found.delete(record.id)
  return found
}

async function fetchMissingAuth(
  deps: RemoteDeps,
  { roomId, version }: Room,
  server: ServerName,
  found: readonly CheckedEvent[],
): Promise<void> {
  const given = new Set(found.map(({ id }) => id))
  const wanted = [...new Set(found.flatMap(({ pdu }) => authEventIds(pdu)))].filter((id) => !given.has(id))
  const missing = await unknownOf(deps, wanted)
  const oldest = found.at(-1)
  if (missing.length === 0 || oldest === undefined) return
  const inquiry = { roomId, version, server, deadline: deps.clock.now() + MAX_GAP_MS }
  if (missing.length <= MAX_FETCHED_STATE_EVENTS) await fetchAuthEvents(deps, inquiry, found)
  // The state before the oldest event, with its auth chain, authorises the whole page.
  else await fetchWhole(deps, inquiry, oldest.id)
}

async function unknownOf(deps: RemoteDeps, ids: readonly EventId[]): Promise<readonly EventId[]> {
  const records = await deps.events.working(ids)
  return ids.filter((_, index) => records[index] === undefined)
}

/** Those without a place in the timeline, be they known as state or not. */
async function unplacedOf(deps: RemoteDeps, ids: readonly EventId[]): Promise<readonly EventId[]> {
  const records = await deps.events.working(ids)
  return ids.filter((_, index) => !isPlaced(records[index])).sort()
}

function recordWrites(record: EventRecord): Write[] {
  const { roomId, order, id, pdu } = record
  return [...newEventWrites(record), ...(order === undefined ? [] : placeWrites(roomId, order, id, pdu))]
}
