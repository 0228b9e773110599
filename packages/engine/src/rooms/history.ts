/** Fetching history from before this node was in the room. */
import type { EventId, JsonValue, ServerName } from '@plexus/core'
import { stateKeyOf } from '@plexus/core'
import type { Write } from '../ports.ts'
import { inRoomOrder, judgeOutliers } from './outliers.ts'
import { events, rooms } from './records.ts'
import { placeWrites } from './relation.ts'
import type { RemoteDeps } from './remote-join.ts'
import type { Room } from './room.ts'
import { toRecord } from './copy.ts'
import type { EventRecord } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/** Events asked for at once. spec: server-server-api.md GET /backfill */
export const BACKFILL_BATCH = 100
/** Members asked, one after the other. */
export const MAX_BACKFILL_SERVERS = 4

/** Fetches a page of history before the known part. True when there was something new. */
export async function backfillRoom(deps: RemoteDeps, room: Room, signal?: AbortSignal): Promise<boolean> {
  const from = await room.run((turn) => Promise.resolve(turn.copy?.backward ?? []))
  const servers = (room.snapshot?.joinedServers ?? []).filter((server) => server !== deps.ownName)
  if (from.length === 0) return false
  for (const server of servers.slice(0, MAX_BACKFILL_SERVERS)) {
    try {
      const options = signal === undefined ? {} : { signal }
      const { pdus } = await deps.federation.backfill(server, room.roomId, from, BACKFILL_BATCH, options)
      if (await keepHistory(deps, room, server, from, pdus.slice(0, BACKFILL_BATCH))) return true
    } catch (error) {
      deps.log.log('info', 'a member gave no history', { roomId: room.roomId, server, error: String(error) })
    }
    signal?.throwIfAborted()
  }
  return false
}

async function keepHistory(
  deps: RemoteDeps,
  room: Room,
  server: ServerName,
  from: readonly EventId[],
  raw: readonly JsonValue[],
): Promise<boolean> {
  const results = await checkEvents(deps.verifier, room.version, room.roomId, raw)
  const checked = new Map<EventId, CheckedEvent>()
  for (const result of results) if (result.kind === 'ok') checked.set(result.event.id, result.event)
  const fresh = await reachable(deps, from, checked)
  await fetchMissingAuth(deps, room, server, [...fresh.values()])
  const input = {
    version: room.version,
    roomId: room.roomId,
    receivedAt: deps.clock.now(),
    basis: 'partial' as const,
  }
  const records = await judgeOutliers(deps.events, input, [...fresh.values()])
  const judged = new Map(records.map((record) => [record.id, record]))
  // An event that was known as state already is judged already.
  for (const record of await deps.events.working([...fresh.keys()])) {
    if (record !== undefined) judged.set(record.id, record)
  }
  const shown = inRoomOrder(fresh).flatMap(({ id }) => {
    const record = judged.get(id)
    return record === undefined || record.verdict === 'rejected' || record.order !== undefined ? [] : [record]
  })
  if (fresh.size === 0) return false
  const { done } = await room.run((turn) => {
    const { copy } = turn
    if (copy === undefined) throw new Error('a room without state has no history')
    const parents = [...fresh.values()].flatMap(({ pdu }) => pdu.prev_events)
    const left = [...new Set([...copy.backward.filter((id) => !fresh.has(id)), ...parents])].filter(
      (id) => !fresh.has(id),
    )
    return unknownOf(deps, left).then((backward) => {
      const next = { ...copy, lowestOrder: copy.lowestOrder - shown.length, backward }
      const publish = turn.replace(next)
      let placed: EventRecord[] = []
      return {
        done: turn.submit({
          writes: (position) => {
            placed = shown.map((record, index) => ({ ...record, position, order: next.lowestOrder + index }))
            return [...placed.flatMap(recordWrites), rooms.put([room.roomId], toRecord(next, position))]
          },
          publish: (position) => {
            for (const record of placed) deps.events.adopt(record)
            publish(position)
          },
        }),
      }
    })
  })
  await done
  return true
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
    queue.push(...event.pdu.prev_events)
  }
  const known = await deps.events.working([...found.keys()])
  for (const record of known) if (record?.order !== undefined) found.delete(record.id)
  return found
}

async function fetchMissingAuth(
  deps: RemoteDeps,
  room: Room,
  server: ServerName,
  fresh: readonly CheckedEvent[],
): Promise<void> {
  const given = new Set(fresh.map(({ id }) => id))
  const wanted = [...new Set(fresh.flatMap(({ pdu }) => pdu.auth_events))].filter((id) => !given.has(id))
  const missing = await unknownOf(deps, wanted)
  const oldest = fresh.at(-1)
  if (missing.length === 0 || oldest === undefined) return
  // The state before the oldest event, with its auth chain, authorises the whole page.
  const { pdus, authChain } = await deps.federation.state(server, room.roomId, oldest.id)
  const results = await checkEvents(deps.verifier, room.version, room.roomId, [...authChain, ...pdus])
  const checked = results.flatMap((result) =>
    result.kind === 'ok' && stateKeyOf(result.event.pdu) !== undefined ? [result.event] : [],
  )
  const input = {
    version: room.version,
    roomId: room.roomId,
    receivedAt: deps.clock.now(),
    basis: 'partial' as const,
  }
  const records = await judgeOutliers(deps.events, input, checked)
  await deps.committer.submit({
    writes: (position) => records.map((record) => events.put([record.id], { ...record, position })),
  })
}

async function unknownOf(deps: RemoteDeps, ids: readonly EventId[]): Promise<readonly EventId[]> {
  const records = await deps.events.working(ids)
  return ids.filter((_, index) => records[index] === undefined).sort()
}

function recordWrites(record: EventRecord): Write[] {
  const { roomId, order, id, pdu } = record
  return [events.put([id], record), ...(order === undefined ? [] : placeWrites(roomId, order, id, pdu))]
}
