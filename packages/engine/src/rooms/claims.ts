/** What another member tells of a room's state: every event of it is checked and judged, none is believed. */
import type { EventId, StateKey } from '@plexus/core'
import { authEventIds, stateKeyOf } from '@plexus/core'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { FederationError } from '../ports.ts'
import { checkTime, type GapDeps, type Inquiry } from './gap.ts'
import { judgeOutliers, outlierWrites } from './outliers.ts'
import type { StateGroup } from './state-groups.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/** Auth events fetched one by one for one gap. */
export const MAX_FETCHED_AUTH_EVENTS = 200
/** Events of a state and its auth chain that are fetched one by one; with more, the state is fetched whole. */
export const MAX_FETCHED_STATE_EVENTS = 20
/** Events of a state or auth chain that another member may tell. */
export const MAX_STATE_EVENTS = 100_000

/** Fetches the auth events that nobody sent, and theirs, and keeps them as outliers. */
export async function fetchAuthEvents(
  deps: GapDeps,
  gap: Inquiry,
  events: readonly CheckedEvent[],
): Promise<void> {
  const fetched = new Map<EventId, CheckedEvent>()
  const given = new Set(events.map(({ id }) => id))
  let wanted = events.flatMap(({ pdu }) => authEventIds(pdu))
  for (let count = 0; wanted.length > 0 && count < MAX_FETCHED_AUTH_EVENTS;) {
    const unknown = await unknownOf(deps, wanted)
    wanted = []
    for (const id of unknown.filter((each) => !fetched.has(each) && !given.has(each))) {
      if (count >= MAX_FETCHED_AUTH_EVENTS) break
      count += 1
      const event = await fetchEvent(deps, gap, id)
      if (event === undefined) continue
      fetched.set(id, event)
      wanted.push(...authEventIds(event.pdu))
    }
  }
  await keepOutliers(deps, gap, [...fetched.values()])
}

async function unknownOf(deps: GapDeps, ids: readonly EventId[]): Promise<readonly EventId[]> {
  const unique = [...new Set(ids)]
  const records = await deps.events.working(unique)
  return unique.filter((_, index) => records[index] === undefined)
}

/** `undefined` where the server does not have it, or gives another. */
export async function fetchEvent(
  deps: GapDeps,
  gap: Inquiry,
  id: EventId,
): Promise<CheckedEvent | undefined> {
  checkTime(deps, gap)
  try {
    const { pdus } = await deps.federation.event(gap.server, id)
    const [result] = await checkEvents(deps.verifier, gap.version, gap.roomId, pdus.slice(0, 1))
    return result?.kind === 'ok' && result.event.id === id ? result.event : undefined
  } catch (error) {
    if (error instanceof FederationError) return undefined
    throw error
  }
}

async function keepOutliers(deps: GapDeps, gap: Inquiry, checked: readonly CheckedEvent[]): Promise<void> {
  const { version, roomId } = gap
  const input = { version, roomId, receivedAt: deps.clock.now(), basis: 'partial' as const }
  const records = await judgeOutliers(deps.events, input, checked)
  if (records.length === 0) return
  await deps.committer.submit({ writes: (position) => outlierWrites(deps.events, records, position) })
}

/**
 * The state before an event as `gap.server` tells it. A previous event alone would not do: whether it was rejected
 * there is nothing that the server tells. spec: server-server-api.md "Retrieving a room's state", DESIGN section 4
 */
export async function claimedState(deps: GapDeps, gap: Inquiry, id: EventId): Promise<StateGroup> {
  checkTime(deps, gap)
  const told = await deps.federation.stateIds(gap.server, gap.roomId, id)
  const unknown = await unknownOf(deps, [...told.authChainIds, ...told.pduIds].slice(0, MAX_STATE_EVENTS))
  if (!(await fetchSingly(deps, gap, unknown))) await fetchWhole(deps, gap, id)
  const state = new Map<StateKey, EventId>()
  for (const record of await deps.events.working(told.pduIds.slice(0, MAX_STATE_EVENTS))) {
    // Without one of its events it would be another state.
    if (record === undefined) throw new Error(`${gap.server} does not tell the whole state`)
    if (record.verdict === 'rejected' || record.roomId !== gap.roomId) continue
    const key = stateKeyOf(record.pdu)
    if (key !== undefined) state.set(key, record.id)
  }
  const { group, writes } = deps.groups.create(nameOf(state), state, undefined)
  await deps.committer.submit({ writes: () => writes })
  return group
}

/** By content, since a server may tell another state the next time, and a group never changes. */
function nameOf(state: ReadonlyMap<StateKey, EventId>): string {
  const lines = [...state].map(([key, id]) => `${key} ${id}`).sort()
  return `claimed ${bytesToHex(sha256(utf8ToBytes(lines.join('\n'))))}`
}

/** False where the server does not give all of them, or they are too many. */
async function fetchSingly(deps: GapDeps, gap: Inquiry, ids: readonly EventId[]): Promise<boolean> {
  if (ids.length > MAX_FETCHED_STATE_EVENTS) return false
  const events: CheckedEvent[] = []
  for (const id of ids) {
    const event = await fetchEvent(deps, gap, id)
    if (event === undefined) return false
    events.push(event)
  }
  await keepOutliers(deps, gap, events)
  return true
}

/** Fetches the state before an event and its auth chain; answers with the ids of the state's events. */
export async function fetchWhole(deps: GapDeps, gap: Inquiry, id: EventId): Promise<readonly EventId[]> {
  const { pdus, authChain } = await deps.federation.state(gap.server, gap.roomId, id)
  const state = pdus.slice(0, MAX_STATE_EVENTS)
  const chain = authChain.slice(0, MAX_STATE_EVENTS)
  const results = await checkEvents(deps.verifier, gap.version, gap.roomId, [...state, ...chain])
  const idsOf = (some: typeof results): CheckedEvent[] =>
    some.flatMap((result) => (result.kind === 'ok' ? [result.event] : []))
  await keepOutliers(deps, gap, idsOf(results))
  return idsOf(results.slice(0, state.length)).map((event) => event.id)
}
