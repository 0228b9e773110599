/** Making a room of what a resident server tells of it. spec: server-server-api.md "Joining Rooms" */
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
  UserId,
} from '@plexus/core'
import {
  authEventIds,
  CREATE_KEY,
  createIdOf,
  createKnownEvents,
  decide,
  memberKey,
  ownValue,
  prevEventIds,
  serverOf,
  stateKeyOf,
} from '@plexus/core'
import type { Write } from '../ports.ts'
import { MAX_BACKWARD } from './accept-event.ts'
import { newEventWrites } from './auth-graph.ts'
import { groupName, isDecided, isFetchedHistory } from './case.ts'
import { MAX_STATE_EVENTS } from './claims.ts'
import type { RoomCopy } from './copy.ts'
import { memberOf, membershipOf, serversIn, stateChanges, toRecord } from './copy.ts'
import { provisionalWrites } from './decided-again.ts'
import { membersNamedBy } from './named-members.ts'
import { judgeOutliers, outlierWrites } from './outliers.ts'
import { comparedState } from './second-member.ts'
import { deltas, memberships, partialRooms, rooms, timelines } from './records.ts'
import type { RemoteDeps } from './remote-join.ts'
import { forgetProvisional } from './replay.ts'
import type { EventInput, Room } from './room.ts'
import type { EventRecord } from './types.ts'
import { RoomError } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

/**
 * Servers that are taken to be in a room by the word of the resident server alone: own events go to each of them. Those
 * beyond get what they missed once the room's state tells that they are there. To see that a name is a key takes some two
 * milliseconds.
 */
export const MAX_UNPROVEN_SERVERS = 500
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
  /** The invite that the join follows, where `server` told all this with it: nobody has the join yet. */
  readonly invite?: EventId
}

/** Makes the room of what the resident server told. */
export async function enterRoom(deps: RemoteDeps, room: Room, told: Told): Promise<void> {
  const { roomId, version } = room
  const answer = { version, roomId, ...told }
  const judged = await judgeAnswer(deps, answer)
  checkState(answer, judged.before, judged.byId)
  await deps.committer.submit({ writes: (position) => outlierWrites(deps.events, judged.records, position) })
  // Outside of the room's queue: the network is slow.
  const before =
    told.serversInRoom === undefined
      ? await comparedState(deps, { room, ...told }, judged.before)
      : judged.before
  const { done } = await room.run(async (turn) => {
    const previous = turn.copy
    // The position after all that was decided in the earlier stay.
    const since = previous === undefined ? 0 : await deps.committer.submit({ writes: () => [] })
    const joined = await adoptRoom(deps, { ...answer, previous, since }, { ...judged, before })
    const publish = turn.replace(joined.copy)
    joined.stage()
    return {
      done: turn.submit({
        positions: joined.positions,
        writes: joined.writes,
        publish: (position) => {
          joined.publish()
          publish(position + joined.positions - 1)
        },
      }),
    }
  })
  await done
}

type Answer = Told & { readonly version: RoomVersion; readonly roomId: RoomId }

/** The state before the join, with the events that were told of it. */
type Judged = {
  readonly before: StateMap
  readonly byId: Map<EventId, EventRecord>
  /** Of the join. */
  readonly generation: number
}

type Adopting = Answer & {
  /** The copy from an earlier stay in the room. */
  readonly previous: RoomCopy | undefined
  /** Of the copy to be made. */
  readonly since: number
}

type Adopted = {
  readonly copy: RoomCopy
  readonly positions: number
  readonly writes: (position: number) => Write[]
  /** Holds the join until it is committed: what is decided meanwhile follows it. */
  readonly stage: () => void
  readonly publish: () => void
}

/** Makes the room of the state before the join, as one change. */
async function adoptRoom(
  deps: RemoteDeps,
  answer: Adopting,
  { before, byId, generation }: Judged,
): Promise<Adopted> {
  const { version, roomId, join, previous } = answer
  const others = [...before.values()].filter((id) => !byId.has(id))
  for (const record of await deps.events.working(others))
    if (record !== undefined) byId.set(record.id, record)
  const create = checkState(answer, before, byId)
  const { server: resident } = answer
  const servers = unprovenServers(answer).filter((name) => name !== deps.ownName)
  const partial = answer.serversInRoom === undefined ? undefined : { join: join.id, resident, servers }
  const joinKey = memberKey(join.pdu.sender)
  const replaced = before.get(joinKey)
  const after = new Map(before).set(joinKey, join.id)
  const { group, writes } = deps.groups.create(groupName({ partial }, `after ${join.id}`), after, undefined)
  const joined = new Set<UserId>([join.pdu.sender])
  for (const id of before.values()) {
    const pdu = byId.get(id)?.pdu
    if (id !== replaced && membershipOf(pdu) === 'join') joined.add(pdu?.state_key as UserId)
  }
  const invited = answer.invite === undefined ? undefined : byId.get(answer.invite)
  const first = invited ?? join
  const lower = await unplaced(deps, [...prevEventIds(first.pdu), ...(previous?.backward ?? [])])
  const copy: RoomCopy = {
    roomId,
    version,
    create: { id: create.id, pdu: create.pdu },
    heads: [join.id],
    current: group,
    joined,
    lowestOrder: previous?.lowestOrder ?? 0,
    backward: lower.slice(0, MAX_BACKWARD),
    holes: [],
    since: answer.since,
    partial,
  }
  const record: EventRecord = {
    id: join.id,
    roomId,
    pdu: join.pdu,
    verdict: 'accepted',
    generation,
    basis: 'partial',
    stateGroup: group.id,
    ...(replaced === undefined ? {} : { replaced }),
    position: 0,
    receivedAt: deps.clock.now(),
  }
  const localMembers = [...before].flatMap(([key, id]) => {
    const user = memberOf(key)
    const isOther = user !== undefined && user !== join.pdu.sender && serverOf(user) === deps.ownName
    const isChanged = isOther && previous?.current.state.get(key) !== id
    return isChanged ? (byId.get(id) ?? []) : []
  })
  const forgotten = await forgetProvisional(deps, roomId)
  const invite = invited === undefined ? undefined : placedInvite(deps, invited, before)
  const facts = {
    groupWrites: [...writes, ...(invite?.writes ?? [])],
    invite: invite?.record,
    localMembers,
    forgotten,
  }
  return { copy, ...joinChange(deps, answer, copy, record, facts) }
}

/** The invite with its place in the room: what members told meanwhile follows it. */
function placedInvite({ groups }: RemoteDeps, invited: EventRecord, after: StateMap) {
  const name = groupName({ partial: undefined }, `after ${invited.id}`)
  const { group, writes } = groups.create(name, after, undefined)
  return { record: { ...invited, basis: 'partial' as const, stateGroup: group.id }, writes }
}

function unprovenServers({ server, serversInRoom = [] }: Answer): readonly ServerName[] {
  return [...new Set([server, ...serversInRoom])].slice(0, MAX_UNPROVEN_SERVERS)
}

/** spec: data/event-schemas/schema/m.room.create.yaml */
function versionNamedBy(create: Pdu): JsonValue {
  return ownValue(create.content, 'room_version') ?? '1'
}

/**
 * The create event of the state. It must be of the room's version, and the state must allow the join, or others would
 * not see it so.
 */
function checkState(
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

/** Those of the events that are not decided here, and not fetched. */
async function unplaced(deps: RemoteDeps, ids: readonly EventId[]): Promise<readonly EventId[]> {
  const unique = [...new Set(ids)]
  const records = await deps.events.working(unique)
  return unique.filter((_, index) => !isDecided(records[index]) && !isFetchedHistory(records[index]))
}

function joinChange(
  deps: RemoteDeps,
  answer: Adopting,
  copy: RoomCopy,
  join: EventRecord,
  facts: {
    readonly groupWrites: readonly Write[]
    /** Takes its place before the join. */
    readonly invite: EventRecord | undefined
    /** Memberships of other users of this node, as far as they changed since an earlier stay. */
    readonly localMembers: readonly EventRecord[]
    /** Decisions of an earlier stay that nobody makes again. */
    readonly forgotten: readonly Write[]
  },
): Omit<Adopted, 'copy'> {
  const { roomId, server } = answer
  const servers = new Set(serversIn(copy))
  servers.delete(deps.ownName)
  const { invite } = facts
  const resident = invite === undefined ? server : undefined
  const others = [...servers].filter((name) => name !== resident)
  // What changed since an earlier stay, of which those who keep step with the state must hear.
  const before = answer.previous?.current.state
  const changes = before === undefined ? [] : stateChanges(before, copy.current.state)
  let final = join
  let placed: EventRecord | undefined
  return {
    stage: () =>
      [...(invite === undefined ? [] : [invite]), join].forEach((event) => deps.events.stage(event)),
    writes: (at) => {
      const position = invite === undefined ? at : at + 1
      placed = invite === undefined ? undefined : { ...invite, position: at, order: at }
      if (placed !== undefined) deps.events.stage(placed)
      final = { ...join, position, order: position }
      deps.events.stage(final)
      return [
        ...facts.groupWrites,
        ...newEventWrites(final),
        ...(placed === undefined ? [] : [...newEventWrites(placed), timelines.put([roomId, at], placed.id)]),
        timelines.put([roomId, position], join.id),
        rooms.put([roomId], toRecord(copy, position)),
        ...facts.forgotten,
        ...provisionalWrites(copy, position, join.id),
        copy.partial === undefined ? partialRooms.delete([roomId]) : partialRooms.put([roomId], copy.partial),
        ...(changes.length === 0 ? [] : [deltas.put([roomId, position], changes)]),
        ...[...facts.localMembers, join].map(({ pdu, id }) =>
          memberships.put([pdu.state_key as UserId, roomId], {
            roomId,
            membership: membershipOf(pdu),
            eventId: id,
            sender: pdu.sender,
            position,
          }),
        ),
        ...deps.services.accepted(join, answer.previous?.joined ?? new Set(), copy.joined),
        ...deps.destinations.joinedRoom(roomId, position, { resident, others, join: join.id }),
      ]
    },
    publish: () =>
      [...(placed === undefined ? [] : [placed]), final].forEach((event) => deps.events.adopt(event)),
    positions: invite === undefined ? 1 : 2,
  }
}

async function judgeAnswer(
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
