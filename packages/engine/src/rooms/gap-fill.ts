/** Fetching what lies between the known part of a room and a new event, from members who have it. */
import type { EventId, JsonValue } from '@plexus/core'
import { prevEventIds } from '@plexus/core'
import { fetchAuthEvents, fetchEvent } from './claims.ts'
import { FederationError } from '../ports.ts'
import { hasPlace, isDecided, isFetchedHistory, isHistory } from './case.ts'
import { checkTime, MAX_GAP_MS, type Gap, type GapDeps, type OpenGap } from './gap.ts'
import { inRoomOrder } from './outliers.ts'
import type { EventRecord } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/**
 * Events, and bytes of their text, fetched for one gap before the state at its lower ends is taken from another member instead.
 * What lies lower comes later then, behind what is newer: a busy room's two months fit.
 */
export const MAX_GAP_EVENTS = 10_000
export const MAX_GAP_BYTES: number = 32 * 1024 * 1024
/** Time left for what follows the fetching: of a slow server what has come by then is taken. */
const GAP_RESERVE_MS: number = MAX_GAP_MS / 2
/** Answers about one gap with none of the events that were asked for: who cheats has endless others. */
const MAX_STRAY_ANSWERS = 8
/** Events asked for at once. */
export const GAP_BATCH = 100
/** Events of one gap before which the state is asked for. */
export const MAX_GAP_CLAIMS = 20
/** Event ids that one request starts from. */
export const MAX_GAP_STARTS = 50
export type FetchedGap = {
  /** Events to decide before the one that the gap was found at, each after its previous events. */
  readonly events: readonly CheckedEvent[]
  /** Those of these, and the event itself, that follow events which the server did not give. */
  readonly lowest: readonly CheckedEvent[]
  /** Events that were found to be history: what follows them leaves no hole. */
  readonly history: ReadonlySet<EventId>
}

/**
 * What is new lies between the heads and the event and is no ancestor of this node's join; what is, is history, which
 * is left to `backfill`. `undefined` when the event itself is. @throws FederationError or CarrierError when the server
 * does not help.
 */
export async function fetchGap(deps: GapDeps, given: Gap): Promise<FetchedGap | undefined> {
  const gap = { ...given, deadline: deps.clock.now() + MAX_GAP_MS }
  const gathered = await findEvents(deps, gap)
  if (gathered === undefined) return undefined
  const { found, history } = gathered
  const events = [...found.values(), gap.event]
  await fetchAuthEvents(deps, gap, events)
  const unplaced = new Set((await unplacedParents(deps, gap, found)).map(([id]) => id))
  const lowest = events.filter(({ pdu }) => prevEventIds(pdu).some((id) => unplaced.has(id)))
  return { events: inRoomOrder(found), lowest, history: new Set(history.keys()) }
}

type Gathered = {
  readonly found: ReadonlyMap<EventId, CheckedEvent>
  readonly history: ReadonlyMap<EventId, CheckedEvent>
}

/** `undefined` when the event is history. */
async function findEvents(deps: GapDeps, gap: OpenGap): Promise<Gathered | undefined> {
  const { federation } = deps
  const found = new Map<EventId, CheckedEvent>()
  const history = new Map<EventId, CheckedEvent>()
  await takeAhead(deps, gap, found)
  const isMissing = (await unplacedParents(deps, gap, found)).length > 0
  // Auth events alone are missing.
  if (!isMissing && found.size === 0) return { found, history }
  let bytes = isMissing ? await collectMissing(deps, gap, found) : 0
  const backfill = async (from: readonly EventId[]): Promise<readonly JsonValue[]> => {
    try {
      return (await federation.backfill(gap.server, gap.roomId, from.slice(0, MAX_GAP_STARTS), GAP_BATCH))
        .pdus
    } catch (error) {
      if (!isFinal(error)) throw error
      return []
    }
  }
  let ends = await openEnds(deps, gap, found, history)
  // Of what follows an earlier stay alone, only what this node's return follows tells whether it is history.
  const isOld = (await unplacedParents(deps, gap, found)).some(([, record]) => isHistory(record, gap))
  // What this node's join follows is never decided, however much is known of what lies before it.
  const isBehindJoin = gap.backward.some((id) => found.has(id))
  let below = ends.length > 0 || isOld || isBehindJoin || reachesBeginning(found) ? gap.backward : []
  let strays = 0
  const hasRoom = (): boolean =>
    found.size + history.size < MAX_GAP_EVENTS &&
    strays < MAX_STRAY_ANSWERS &&
    bytes < MAX_GAP_BYTES &&
    deps.clock.now() < gap.deadline - GAP_RESERVE_MS
  while ((ends.length > 0 || below.length > 0) && hasRoom()) {
    const before = found.size + history.size
    if (below.length > 0) bytes += await collect(deps, gap, history, () => backfill(below))
    if (await moveHistory(deps, gap, found, history)) return undefined
    ends = await openEnds(deps, gap, found, history)
    if (ends.length === 0 && !isOld) break
    if (ends.length > 0) {
      bytes += await collect(deps, gap, found, () => backfill(ends))
      if (!ends.some((id) => found.has(id))) strays += 1
    }
    if (await moveHistory(deps, gap, found, history)) return undefined
    ends = await openEnds(deps, gap, found, history)
    below = await unknownAncestors(deps, gap, history)
    if (found.size + history.size === before) break
  }
  // Who tells no history may tell the events just before the gap, and their state; what was refused is in no history.
  for (const id of ends.slice(0, MAX_GAP_CLAIMS)) {
    const event = await fetchEvent(deps, gap, id)
    if (event !== undefined) found.set(id, event)
  }
  return { found, history }
}

/** What the server gave for events before this one and lies right before it. */
async function takeAhead(deps: GapDeps, gap: OpenGap, found: Map<EventId, CheckedEvent>): Promise<void> {
  const { next, server } = gap
  for (let more = next !== undefined; more;) {
    more = false
    for (const [id] of await unplacedParents(deps, gap, found)) {
      const event = next?.ahead.get(`${server} ${id}`)
      if (event === undefined) continue
      next?.ahead.delete(`${server} ${id}`)
      found.set(id, event)
      more = true
    }
  }
}

/**
 * One request for what the event misses and what those miss that wait behind it: of members who take turns each brings
 * its own events alone, and every one of them misses another. Answers with the length of what came.
 */
async function collectMissing(
  deps: GapDeps,
  gap: OpenGap,
  found: Map<EventId, CheckedEvent>,
): Promise<number> {
  const { events: waiting, ahead } = gap.next ?? { events: [] }
  const given = new Map<EventId, CheckedEvent>()
  const bytes = await collect(deps, gap, given, async () => {
    const earliest = gap.heads.slice(0, MAX_GAP_STARTS)
    const latest = [gap.event, ...waiting].slice(0, MAX_GAP_STARTS).map(({ id }) => id)
    const query = { earliest, latest, limit: GAP_BATCH, minDepth: 0 }
    return (await deps.federation.getMissingEvents(gap.server, gap.roomId, query)).events
  })
  const before = waiting.length === 0 ? given.values() : takeAncestors([gap.event, ...found.values()], given)
  for (const event of before) found.set(event.id, event)
  for (const event of takeAncestors(waiting, given))
    if (event.contentHashOk) ahead?.set(`${gap.server} ${event.id}`, event)
  return bytes
}

/** Takes out what the events follow. */
function takeAncestors(
  events: readonly CheckedEvent[],
  given: Map<EventId, CheckedEvent>,
): readonly CheckedEvent[] {
  const taken: CheckedEvent[] = []
  const queue = events.flatMap(({ pdu }) => prevEventIds(pdu))
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const event = given.get(id)
    if (event === undefined) continue
    given.delete(id)
    taken.push(event)
    queue.push(...prevEventIds(event.pdu))
  }
  return taken
}

/** The server would answer the same again. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof FederationError)) return false
  const { status } = error.remote
  return status >= 400 && status < 500 && status !== 429
}

/** Then nothing is unknown, but all of it may lie before the join. */
function reachesBeginning(found: ReadonlyMap<EventId, CheckedEvent>): boolean {
  return [...found.values()].some(({ pdu }) => prevEventIds(pdu).length === 0)
}

/**
 * Moves the ancestors of this node's join, as far as they hang together with it. True when the event itself is one.
 */
async function moveHistory(
  deps: GapDeps,
  gap: Gap,
  found: Map<EventId, CheckedEvent>,
  history: Map<EventId, CheckedEvent>,
): Promise<boolean> {
  const seen = new Set<EventId>()
  const queue = [...gap.backward]
  for (let id = queue.pop(); id !== undefined && seen.size < MAX_GAP_EVENTS; id = queue.pop()) {
    if (id === gap.event.id) return true
    if (seen.has(id)) continue
    seen.add(id)
    const event = history.get(id) ?? found.get(id)
    if (event !== undefined && found.delete(id)) history.set(id, event)
    // Some of it may be here already, as state or because somebody sent it.
    const { pdu } = event ?? (await deps.events.working([id]))[0] ?? {}
    if (pdu !== undefined) queue.push(...prevEventIds(pdu))
  }
  return false
}

async function unknownAncestors(
  deps: GapDeps,
  gap: Gap,
  history: ReadonlyMap<EventId, CheckedEvent>,
): Promise<readonly EventId[]> {
  const parents = [...history.values()].flatMap(({ pdu }) => prevEventIds(pdu))
  const outside = [...new Set([...gap.backward, ...parents])].filter((id) => !history.has(id))
  const records = await deps.events.working(outside)
  return outside.filter((_, index) => !isHistory(records[index], gap)).sort()
}

/** Answers with the length of what came. */
async function collect(
  deps: GapDeps,
  gap: OpenGap,
  into: Map<EventId, CheckedEvent>,
  fetch: () => Promise<readonly JsonValue[]>,
): Promise<number> {
  checkTime(deps, gap)
  const raw = (await fetch()).slice(0, GAP_BATCH)
  const lookup = { broughtBy: gap.server }
  const fresh: EventId[] = []
  for (const result of await checkEvents(deps, gap.version, gap.roomId, raw, lookup)) {
    if (result.kind !== 'ok' || result.event.id === gap.event.id) continue
    fresh.push(result.event.id)
    into.set(result.event.id, result.event)
  }
  const known = await deps.events.working(fresh)
  for (const record of known) {
    if (record !== undefined && (isDecided(record) || isFetchedHistory(record))) into.delete(record.id)
  }
  return JSON.stringify(raw).length
}

/** Parents of the new events of which it is not known whether they are new too. */
async function openEnds(
  deps: GapDeps,
  gap: Gap,
  found: ReadonlyMap<EventId, CheckedEvent>,
  history: ReadonlyMap<EventId, CheckedEvent>,
): Promise<readonly EventId[]> {
  const parents = await unplacedParents(deps, gap, found)
  return parents.flatMap(([id, record]) => (history.has(id) || isHistory(record, gap) ? [] : [id]))
}

/** Parents of the new events that are not new themselves, and the state after which is not known; sorted. */
async function unplacedParents(
  deps: GapDeps,
  gap: Gap,
  found: ReadonlyMap<EventId, CheckedEvent>,
): Promise<readonly (readonly [EventId, EventRecord | undefined])[]> {
  const parents = new Set([gap.event, ...found.values()].flatMap(({ pdu }) => prevEventIds(pdu)))
  const outside = [...parents].filter((id) => !found.has(id)).sort()
  const records = await deps.events.working(outside)
  return outside.flatMap((id, index) =>
    hasPlace(records[index], gap) ? [] : [[id, records[index]] as const],
  )
}
