/** Fetching what lies between the known part of a room and a new event, from members who have it. */
import type { EventId, JsonValue, RoomId, RoomVersion, ServerName, StateKey } from '@plexus/core'
import { stateKeyOf } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Clock, Federation, Verifier } from '../ports.ts'
import { hasPlace, isHistory } from './decide-event.ts'
import type { EventStore } from './event-store.ts'
import type { OutlierInput } from './outliers.ts'
import { inRoomOrder, judgeOutliers, outlierWrites } from './outliers.ts'
import type { StateGroup, StateGroups } from './state-groups.ts'
import type { EventRecord } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/** Events fetched for one gap before the state at its lower ends is taken from another member instead. */
export const MAX_GAP_EVENTS = 2_000
/** Events asked for at once. */
export const GAP_BATCH = 100
/** Auth events fetched one by one for one gap. */
export const MAX_FETCHED_AUTH_EVENTS = 200
/** Events of a state or auth chain that another member may tell. */
export const MAX_STATE_EVENTS = 100_000
/** Unknown ends of one gap whose state is asked for. */
export const MAX_GAP_ENDS = 20

export type GapDeps = {
  readonly committer: Committer
  readonly events: EventStore
  readonly groups: StateGroups
  readonly federation: Federation
  readonly verifier: Verifier
  readonly clock: Clock
}

export type Gap = {
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly heads: readonly EventId[]
  /** Events just before the known history that this node does not hold: the join of this node follows them. */
  readonly backward: readonly EventId[]
  readonly event: CheckedEvent
  readonly server: ServerName
  readonly signal?: AbortSignal
}

export type FilledGap = {
  /** Events to decide before the one that the gap was found at, each after its previous events. */
  readonly events: readonly CheckedEvent[]
  /** States after events that nobody gave. */
  readonly claims: ReadonlyMap<EventId, StateGroup>
}

/**
 * What is new lies between the heads and the event and is no ancestor of this node's join; what is, is history, which
 * is left to `backfill`. @throws FederationError or CarrierError when the server does not help.
 */
export async function fillGap(deps: GapDeps, gap: Gap): Promise<FilledGap> {
  const found = new Map<EventId, CheckedEvent>()
  const history = new Map<EventId, CheckedEvent>()
  const { federation } = deps
  await collect(deps, gap, found, async () => {
    const query = { earliest: gap.heads, latest: [gap.event.id], limit: GAP_BATCH, minDepth: 0 }
    return (await federation.getMissingEvents(gap.server, gap.roomId, query, options(gap))).events
  })
  const backfill = async (from: readonly EventId[]): Promise<readonly JsonValue[]> =>
    (await federation.backfill(gap.server, gap.roomId, from, GAP_BATCH, options(gap))).pdus
  let ends = await openEnds(deps, gap, found, history)
  let below = ends.length > 0 || reachesBeginning(found) ? gap.backward : []
  while ((ends.length > 0 || below.length > 0) && found.size + history.size < MAX_GAP_EVENTS) {
    const before = found.size + history.size
    if (below.length > 0) await collect(deps, gap, history, () => backfill(below))
    moveHistory(gap, found, history)
    ends = await openEnds(deps, gap, found, history)
    if (ends.length === 0) break
    await collect(deps, gap, found, () => backfill(ends))
    moveHistory(gap, found, history)
    ends = await openEnds(deps, gap, found, history)
    below = await unknownAncestors(deps, gap, history)
    if (found.size + history.size === before) break
  }
  await fetchAuthEvents(deps, gap, [...found.values(), gap.event])
  const claims = new Map<EventId, StateGroup>()
  for (const [id] of (await unplacedParents(deps, gap, found)).slice(0, MAX_GAP_ENDS)) {
    claims.set(id, await claimedState(deps, gap, id))
  }
  return { events: inRoomOrder(found), claims }
}

/** Then nothing is unknown, but all of it may lie before the join. */
function reachesBeginning(found: ReadonlyMap<EventId, CheckedEvent>): boolean {
  return [...found.values()].some(({ pdu }) => pdu.prev_events.length === 0)
}

/** Moves the ancestors of this node's join, as far as they hang together with it. */
function moveHistory(gap: Gap, found: Map<EventId, CheckedEvent>, history: Map<EventId, CheckedEvent>): void {
  const seen = new Set<EventId>()
  const queue = [...gap.backward]
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const event = history.get(id) ?? found.get(id)
    if (event === undefined || seen.has(id)) continue
    seen.add(id)
    if (found.delete(id)) history.set(id, event)
    queue.push(...event.pdu.prev_events)
  }
}

async function unknownAncestors(
  deps: GapDeps,
  gap: Gap,
  history: ReadonlyMap<EventId, CheckedEvent>,
): Promise<readonly EventId[]> {
  const parents = [...history.values()].flatMap(({ pdu }) => pdu.prev_events)
  const outside = [...new Set([...gap.backward, ...parents])].filter((id) => !history.has(id))
  const records = await deps.events.working(outside)
  return outside.filter((_, index) => !isHistory(records[index])).sort()
}

function options(gap: Gap): { signal?: AbortSignal } {
  return gap.signal === undefined ? {} : { signal: gap.signal }
}

async function collect(
  deps: GapDeps,
  gap: Gap,
  into: Map<EventId, CheckedEvent>,
  fetch: () => Promise<readonly JsonValue[]>,
): Promise<void> {
  const raw = (await fetch()).slice(0, GAP_BATCH)
  for (const result of await checkEvents(deps.verifier, gap.version, gap.roomId, raw)) {
    if (result.kind === 'ok' && result.event.id !== gap.event.id) into.set(result.event.id, result.event)
  }
  const known = await deps.events.working([...into.keys()])
  for (const record of known) {
    if (record !== undefined && (hasPlace(record) || isHistory(record))) into.delete(record.id)
  }
}

/** Parents of the new events of which it is not known whether they are new too. */
async function openEnds(
  deps: GapDeps,
  gap: Gap,
  found: ReadonlyMap<EventId, CheckedEvent>,
  history: ReadonlyMap<EventId, CheckedEvent>,
): Promise<readonly EventId[]> {
  const parents = await unplacedParents(deps, gap, found)
  return parents.flatMap(([id, record]) => (history.has(id) || isHistory(record) ? [] : [id]))
}

/** Parents of the new events that are not new themselves, and the state after which is not known; sorted. */
async function unplacedParents(
  deps: GapDeps,
  gap: Gap,
  found: ReadonlyMap<EventId, CheckedEvent>,
): Promise<readonly (readonly [EventId, EventRecord | undefined])[]> {
  const parents = new Set([gap.event, ...found.values()].flatMap(({ pdu }) => pdu.prev_events))
  const outside = [...parents].filter((id) => !found.has(id)).sort()
  const records = await deps.events.working(outside)
  return outside.flatMap((id, index) => (hasPlace(records[index]) ? [] : [[id, records[index]] as const]))
}

/** Fetches the auth events that nobody sent, and theirs, and keeps them as outliers. */
async function fetchAuthEvents(deps: GapDeps, gap: Gap, events: readonly CheckedEvent[]): Promise<void> {
  const fetched = new Map<EventId, CheckedEvent>()
  const given = new Set(events.map(({ id }) => id))
  let wanted = events.flatMap(({ pdu }) => pdu.auth_events)
  for (let count = 0; wanted.length > 0 && count < MAX_FETCHED_AUTH_EVENTS;) {
    const ids = [...new Set(wanted)].filter((id) => !fetched.has(id) && !given.has(id))
    const known = await deps.events.working(ids)
    const missing = ids.filter((_, index) => known[index] === undefined)
    wanted = []
    for (const id of missing.slice(0, MAX_FETCHED_AUTH_EVENTS - count)) {
      count += 1
      const event = await fetchEvent(deps, gap, id)
      if (event === undefined) continue
      fetched.set(id, event)
      wanted.push(...event.pdu.auth_events)
    }
  }
  await keepOutliers(deps, gap, [...fetched.values()])
}

async function fetchEvent(deps: GapDeps, gap: Gap, id: EventId): Promise<CheckedEvent | undefined> {
  const { pdus } = await deps.federation.event(gap.server, id, options(gap))
  const [result] = await checkEvents(deps.verifier, gap.version, gap.roomId, pdus.slice(0, 1))
  return result?.kind === 'ok' && result.event.id === id ? result.event : undefined
}

async function keepOutliers(deps: GapDeps, gap: Gap, checked: readonly CheckedEvent[]): Promise<void> {
  const input: OutlierInput = {
    version: gap.version,
    roomId: gap.roomId,
    receivedAt: deps.clock.now(),
    basis: 'partial',
  }
  const { records } = await judgeOutliers(deps.events, input, checked)
  if (records.length === 0) return
  await deps.committer.submit({ writes: (position) => outlierWrites(records, position) })
}

/**
 * The state after an event as `gap.server` tells it: a claim, each event of which is checked and judged.
 * spec: server-server-api.md "Retrieving a room's state", DESIGN section 4
 */
async function claimedState(deps: GapDeps, gap: Gap, id: EventId): Promise<StateGroup> {
  const { pdus, authChain } = await deps.federation.state(gap.server, gap.roomId, id, options(gap))
  const raw = [...authChain, ...pdus].slice(0, MAX_STATE_EVENTS)
  const results = await checkEvents(deps.verifier, gap.version, gap.roomId, raw)
  const checked = results.flatMap((result) => (result.kind === 'ok' ? [result.event] : []))
  const at = await fetchEvent(deps, gap, id)
  await keepOutliers(deps, gap, at === undefined ? checked : [...checked, at])
  const stateIds = new Set(
    results.slice(authChain.length).flatMap((result) => (result.kind === 'ok' ? [result.event.id] : [])),
  )
  const state = new Map<StateKey, EventId>()
  const kept = await deps.events.working(at === undefined ? [...stateIds] : [...stateIds, at.id])
  for (const record of kept) {
    const key = record === undefined || record.verdict === 'rejected' ? undefined : stateKeyOf(record.pdu)
    if (record !== undefined && key !== undefined) state.set(key, record.id)
  }
  const { group, writes } = deps.groups.create(`claimed after ${id} by ${gap.server}`, state, undefined)
  await deps.committer.submit({ writes: () => writes })
  return group
}
