/** What another member tells of a room's state: every event of it is checked and judged, none is believed. */
import type { EventId, JsonValue, StateKey, StateMap } from '@plexus/core'
import { authEventIds, stateKeyOf } from '@plexus/core'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { CarrierError, FederationError } from '../ports.ts'
import type { Grouped } from './case.ts'
import { checkTime, type GapDeps, type Inquiry } from './gap.ts'
import { inAuthOrder, judgeOutliers, outlierWrites } from './outliers.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/** Auth events fetched one by one for one gap. */
export const MAX_FETCHED_AUTH_EVENTS = 200
/** Events of a state and its auth chain that are fetched one by one; with more, the state is fetched whole. */
export const MAX_FETCHED_STATE_EVENTS = 20
/** With more, one by one again, as with fewer that no answer holds. */
export const MAX_WHOLE_STATE_EVENTS = 50_000
/** Events fetched one by one that are under way. */
const FETCHED_TOGETHER = 8
/** Events checked together, and kept in one commit: the node does other things in between. */
const KEPT_TOGETHER = 500
/** How long a server is left alone that is asked too much. */
export const LIMITED_PAUSE_MS = 1_000
/** Rounds in which a huge state is fetched. */
const MAX_HUGE_ROUNDS = 3
/** Events of a state or auth chain that another member may tell. */
export const MAX_STATE_EVENTS = 200_000

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

/** `undefined` where the server does not have it, or gives another. @throws FederationError when it is asked too much. */
export async function fetchEvent(
  deps: GapDeps,
  gap: Inquiry,
  id: EventId,
): Promise<CheckedEvent | undefined> {
  checkTime(deps, gap)
  try {
    const { pdus } = await deps.federation.event(gap.server, id)
    const [result] = await checkEvents(deps, gap.version, gap.roomId, pdus.slice(0, 1), {
      broughtBy: gap.server,
    })
    return result?.kind === 'ok' && result.event.id === id ? result.event : undefined
  } catch (error) {
    if (error instanceof FederationError && !isLimited(error)) return undefined
    throw error
  }
}

function isLimited(error: unknown): boolean {
  return error instanceof FederationError && error.remote.status === 429
}

async function keepOutliers(deps: GapDeps, gap: Inquiry, checked: readonly CheckedEvent[]): Promise<void> {
  const { version, roomId } = gap
  const input = { version, roomId, receivedAt: deps.clock.now(), basis: 'partial' as const }
  const ordered = inAuthOrder(version, checked)
  for (let start = 0; start < ordered.length; start += KEPT_TOGETHER) {
    const records = await judgeOutliers(deps.events, input, ordered.slice(start, start + KEPT_TOGETHER))
    if (records.length > 0)
      await deps.committer.submit({ writes: (position) => outlierWrites(deps.events, records, position) })
  }
}

async function checkAll(
  deps: GapDeps,
  { version, roomId, server }: Inquiry,
  raw: readonly JsonValue[],
): Promise<readonly CheckedEvent[]> {
  const checked: CheckedEvent[] = []
  for (let start = 0; start < raw.length; start += KEPT_TOGETHER) {
    const slice = raw.slice(start, start + KEPT_TOGETHER)
    for (const result of await checkEvents(deps, version, roomId, slice, { broughtBy: server }))
      if (result.kind === 'ok') checked.push(result.event)
  }
  return checked
}

/**
 * The state before an event as `gap.server` tells it. A previous event alone would not do: whether it was rejected
 * there is nothing that the server tells. spec: server-server-api.md "Retrieving a room's state", DESIGN section 4
 */
export async function claimedState(deps: GapDeps, gap: Inquiry, id: EventId): Promise<StateMap> {
  const { state, lacking } = await toldState(deps, gap, id)
  // Without one of its events it would be another state.
  if (lacking > 0) throw new Error(`${gap.server} does not tell the whole state`)
  return state
}

export function claimGroup({ groups }: Pick<GapDeps, 'groups'>, state: StateMap): Grouped {
  return groups.create(claimName(state), state, undefined)
}

export type ToldClaim = {
  readonly state: StateMap
  /** Events of it that the server does not give, or that are none. */
  readonly lacking: number
  /** The server has it from one other alone. */
  readonly isUnconfirmed?: true
}

/** As `claimedState`, whatever is lacking. */
export async function toldState(deps: GapDeps, gap: Inquiry, id: EventId): Promise<ToldClaim> {
  checkTime(deps, gap)
  const told = await deps.federation.stateIds(gap.server, gap.roomId, id)
  if (gap.isWitness === true && told.isUnconfirmed === true)
    throw new Error(`${gap.server} has the state from one other alone`)
  if (told.pduIds.length > MAX_STATE_EVENTS || told.authChainIds.length > MAX_STATE_EVENTS)
    throw new Error(`${gap.server} tells a state of more than ${MAX_STATE_EVENTS} events`)
  const ids = [...told.authChainIds, ...told.pduIds]
  const unknown = await unknownOf(deps, ids)
  if (!(await fetchSingly(deps, gap, unknown)) && !(await fetchAtOnce(deps, gap, id, unknown.length))) {
    // What an event is judged by may have come after it.
    for (let round = 0; round < MAX_HUGE_ROUNDS; round += 1)
      await fetchMany(deps, gap, await unknownOf(deps, ids))
  }
  const state = new Map<StateKey, EventId>()
  const records = await deps.events.working(told.pduIds)
  for (const record of records) {
    if (record === undefined || record.verdict === 'rejected' || record.roomId !== gap.roomId) continue
    const key = stateKeyOf(record.pdu)
    if (key !== undefined) state.set(key, record.id)
  }
  const lacking = records.filter((record) => record === undefined).length
  return told.isUnconfirmed === undefined ? { state, lacking } : { state, lacking, isUnconfirmed: true }
}

/** By content, since a server may tell another state the next time, and a group never changes. */
export function claimName(state: StateMap): string {
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

/** False where no answer holds that many, or the server did not give one. */
async function fetchAtOnce(deps: GapDeps, gap: Inquiry, id: EventId, count: number): Promise<boolean> {
  if (count > MAX_WHOLE_STATE_EVENTS) return false
  try {
    await fetchWhole(deps, gap, id)
    return true
  } catch (error) {
    if (error instanceof CarrierError && error.code !== 'unreachable') return false
    throw error
  }
}

async function fetchMany(deps: GapDeps, gap: Inquiry, ids: readonly EventId[]): Promise<void> {
  for (let start = 0; start < ids.length; start += KEPT_TOGETHER) {
    const found: CheckedEvent[] = []
    const queue = ids.slice(start, start + KEPT_TOGETHER)
    const fetchNext = async (): Promise<void> => {
      for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
        const event = await fetchPatiently(deps, gap, id)
        if (event !== undefined) found.push(event)
      }
    }
    await Promise.all(Array.from({ length: FETCHED_TOGETHER }, fetchNext))
    await keepOutliers(deps, gap, found)
  }
}

async function fetchPatiently(deps: GapDeps, gap: Inquiry, id: EventId): Promise<CheckedEvent | undefined> {
  for (;;) {
    try {
      return await fetchEvent(deps, gap, id)
    } catch (error) {
      if (!isLimited(error)) throw error
      await new Promise<void>((resolve) => void deps.clock.after(LIMITED_PAUSE_MS, resolve))
    }
  }
}

/** Fetches the state before an event and its auth chain; answers with the ids of the state's events. */
export async function fetchWhole(deps: GapDeps, gap: Inquiry, id: EventId): Promise<readonly EventId[]> {
  const { pdus, authChain } = await deps.federation.state(gap.server, gap.roomId, id)
  const state = pdus.slice(0, MAX_STATE_EVENTS)
  const chain = authChain.slice(0, MAX_STATE_EVENTS)
  const found = await checkAll(deps, gap, state)
  await keepOutliers(deps, gap, [...(await checkAll(deps, gap, chain)), ...found])
  return found.map((event) => event.id)
}
