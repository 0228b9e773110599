/** What a resident server answers to a join, checked and judged. spec: server-server-api.md "Joining Rooms" */
import type {
  EventId,
  JsonObject,
  JsonValue,
  Pdu,
  RoomId,
  RoomVersion,
  ServerName,
  StateKey,
  StateMap,
} from '@plexus/core'
import {
  authEventIds,
  CREATE_KEY,
  createIdOf,
  createKnownEvents,
  decide,
  ownValue,
  stateKeyOf,
} from '@plexus/core'
import { MAX_STATE_EVENTS } from './claims.ts'
import { membersNamedBy } from './named-members.ts'
import { judgeOutliers } from './outliers.ts'
import type { RemoteDeps } from './remote-join.ts'
import type { EventInput } from './room.ts'
import type { EventRecord } from './types.ts'
import { RoomError } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/** How long the keys of a room's servers are waited for: events of others are left out. */
const MAX_KEYS_WAIT_MS = 60_000

/** What a resident server answers to a join. */
export type Told = {
  readonly server: ServerName
  /** Servers that the room was found by. */
  readonly via: readonly ServerName[]
  readonly join: EventInput
  readonly state: readonly JsonObject[]
  readonly authChain: readonly JsonObject[]
  /** Set when the state lacks members. */
  readonly serversInRoom?: readonly ServerName[]
  /** The server has all this from one other alone. */
  readonly isUnconfirmed?: true
  /** The invite that the join follows, where `server` told all this with it: nobody has the join yet. */
  readonly invite?: EventId
}

export type Answer = Told & { readonly version: RoomVersion; readonly roomId: RoomId }

/** The state before the join, with the events that were told of it. */
export type Judged = {
  readonly before: StateMap
  readonly byId: Map<EventId, EventRecord>
  /** Of the join. */
  readonly generation: number
}

export async function judgeAnswer(
  deps: RemoteDeps,
  answer: Answer,
): Promise<Judged & { readonly records: readonly EventRecord[] }> {
  const { version, roomId } = answer
  const chain = answer.authChain.slice(0, MAX_STATE_EVENTS)
  const state = answer.state.slice(0, MAX_STATE_EVENTS)
  const lookup = { waitMs: MAX_KEYS_WAIT_MS, broughtBy: answer.server }
  const results = await checkEvents(deps, version, roomId, [...chain, ...state], lookup)
  const checked = new Map<EventId, CheckedEvent>()
  const stateIds = new Set<EventId>()
  const dropped: string[] = []
  results.forEach((result, index) => {
    if (result.kind !== 'ok') {
      dropped.push(result.why)
      return
    }
    checked.set(result.event.id, result.event)
    if (index >= chain.length) stateIds.add(result.event.id)
  })
  if (dropped.length > 0) {
    const [why = ''] = dropped
    const fields = { roomId, server: answer.server, count: dropped.length, why }
    deps.log.log('warn', 'events of a join were dropped', fields)
  }
  const records = await judgeOutliers(
    deps.events,
    { version, roomId, receivedAt: deps.clock.now(), basis: 'partial' },
    [...checked.values(), answer.join],
  )
  // A room in which our own join does not stand is none that this node could act in.
  const join = records.find(({ id }) => id === answer.join.id)
  if (join?.verdict !== 'accepted') {
    throw new RoomError(
      'M_BAD_STATE',
      `the state that ${answer.server} told does not allow the join: ${join?.why ?? 'incomplete'}`,
    )
  }
  const others = records.filter((record) => record !== join)
  const told = await stateOf(deps, roomId, stateIds, others)
  if (answer.serversInRoom !== undefined) await nameMembers(deps, answer.join, told)
  return { ...told, records: others, generation: join.generation }
}

type ToldState = {
  readonly before: Map<StateKey, EventId>
  readonly byId: Map<EventId, EventRecord>
}

/**
 * Adds the members that the join names to a state without members: without the own invite, for one, it would not be
 * allowed.
 */
async function nameMembers(
  { events }: RemoteDeps,
  { pdu }: EventInput,
  { before, byId }: ToldState,
): Promise<void> {
  const absent = authEventIds(pdu).filter((id) => !byId.has(id))
  for (const record of await events.working(absent)) if (record !== undefined) byId.set(record.id, record)
  const named = membersNamedBy(pdu, { get: (id) => byId.get(id) })
  for (const [key, id] of named) if (!before.has(key)) before.set(key, id)
}

/** The state that these ids name, as far as their events are here and not rejected. */
async function stateOf(
  deps: RemoteDeps,
  roomId: RoomId,
  stateIds: ReadonlySet<EventId>,
  records: readonly EventRecord[],
): Promise<ToldState> {
  const byId = new Map(records.map((record) => [record.id, record]))
  const known = await deps.events.working([...stateIds].filter((id) => !byId.has(id)))
  for (const record of known) if (record?.roomId === roomId) byId.set(record.id, record)
  const before = new Map<StateKey, EventId>()
  for (const id of stateIds) {
    const record = byId.get(id)
    const key = record === undefined || record.verdict === 'rejected' ? undefined : stateKeyOf(record.pdu)
    if (key !== undefined) before.set(key, id)
  }
  return { before, byId }
}

/** spec: data/event-schemas/schema/m.room.create.yaml */
function versionNamedBy(create: Pdu): JsonValue {
  return ownValue(create.content, 'room_version') ?? '1'
}

/**
 * The create event of the state. It must be of the room's version, and the state must allow the join, or others would
 * not see it so.
 */
export function checkState(
  { version, roomId, join, server }: Answer,
  before: StateMap,
  known: ReadonlyMap<EventId, EventRecord>,
): EventRecord {
  const createId = createIdOf(version, join.pdu) ?? before.get(CREATE_KEY)
  const create = createId === undefined ? undefined : known.get(createId)
  if (create === undefined) throw new RoomError('M_BAD_STATE', 'no create event was given')
  if (versionNamedBy(create.pdu) !== version.id)
    throw new RoomError('M_BAD_STATE', 'the create event names another room version')
  const view = createKnownEvents()
  for (const { id, pdu, verdict } of known.values()) {
    view.add({ id, pdu, verdict: verdict === 'rejected' ? 'rejected' : 'accepted' })
  }
  const decision = decide({
    version,
    roomId,
    event: join,
    view,
    stateAfter: () => before,
    currentState: undefined,
  })
  if (decision.kind === 'accept') return create
  const why = 'why' in decision ? decision.why.reason : 'the state is incomplete'
  throw new RoomError('M_BAD_STATE', `the state that ${server} told does not allow the join: ${why}`)
}
