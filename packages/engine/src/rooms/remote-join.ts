/** Joining and leaving rooms through another server. spec: server-server-api.md "Joining Rooms", "Leaving Rooms" */
import type {
  EventId,
  EventTemplate,
  JsonObject,
  Pdu,
  RoomId,
  RoomVersion,
  ServerName,
  StateKey,
  UserId,
} from '@plexus/core'
import {
  buildEvent,
  createIdOf,
  isJsonObject,
  parseEventId,
  ROOM_VERSIONS,
  roomVersion,
  serverOf,
  stateKeyOf,
} from '@plexus/core'
import type { Federation, Verifier, Write } from '../ports.ts'
import { CarrierError, FederationError } from '../ports.ts'
import type { RoomCopy } from './copy.ts'
import { membershipOf, toRecord } from './copy.ts'
import type { LocalDeps } from './local.ts'
import { MAX_TIMESTAMP_LEAD_MS, signOwn } from './local.ts'
import { judgeOutliers, outlierWrites } from './outliers.ts'
import { events, memberships, rooms, timelines } from './records.ts'
import type { DestinationTracker, EventInput } from './room.ts'
import type { EventRecord } from './types.ts'
import { RoomError } from './types.ts'
import type { CheckedEvent } from './verify.ts'
import { checkEvents } from './verify.ts'

export type RemoteDeps = LocalDeps & {
  readonly federation: Federation
  readonly verifier: Verifier
  readonly destinations: DestinationTracker
}

/** Servers tried for one join. */
export const MAX_VIA = 5
/** Previous and auth events that we take from a template. */
const MAX_TEMPLATE_EVENTS = 20

export type JoinRequest = {
  readonly userId: UserId
  readonly roomId: RoomId
  readonly content?: JsonObject
  readonly signal?: AbortSignal
}

/** Joins through the first of `via` that helps. @throws RoomError with what the last of them said. */
export async function joinRemotely(
  deps: RemoteDeps,
  via: readonly ServerName[],
  request: JoinRequest,
): Promise<void> {
  let last: unknown = new RoomError('M_NOT_FOUND', 'no server is known through which this room can be joined')
  for (const server of via.filter((name) => name !== deps.ownName).slice(0, MAX_VIA)) {
    request.signal?.throwIfAborted()
    try {
      return await joinThrough(deps, server, request)
    } catch (error) {
      last = error
      deps.log.log('info', 'a server did not help to join', {
        roomId: request.roomId,
        server,
        error: String(error),
      })
    }
  }
  throw asRoomError(last, 'the room cannot be joined')
}

export function asRoomError(error: unknown, what: string): Error {
  if (error instanceof RoomError) return error
  if (error instanceof FederationError) {
    const { errcode, error: message } = error.remote
    const isFinal = errcode === 'M_FORBIDDEN' || errcode === 'M_NOT_FOUND'
    return new RoomError(isFinal ? errcode : 'M_UNKNOWN', `${what}: ${message}`)
  }
  if (error instanceof CarrierError)
    return new RoomError('M_UNKNOWN', `${what}: nobody there could be reached (${error.message})`)
  return error instanceof Error ? error : new Error(String(error))
}

async function joinThrough(deps: RemoteDeps, server: ServerName, request: JoinRequest): Promise<void> {
  const { roomId, userId } = request
  const options = request.signal === undefined ? {} : { signal: request.signal }
  const template = await deps.federation.makeMembership(
    'join',
    server,
    roomId,
    userId,
    ROOM_VERSIONS,
    options,
  )
  const version = roomVersion(template.roomVersion)
  if (version === undefined) {
    throw new RoomError(
      'M_INCOMPATIBLE_ROOM_VERSION',
      `room version ${template.roomVersion} is not supported`,
    )
  }
  const content = { ...request.content, membership: 'join' }
  const join = await fromTemplate(deps, version, roomId, template.event, {
    type: 'm.room.member',
    sender: userId,
    stateKey: userId,
    content,
  })
  const answer = await deps.federation.sendJoin(server, roomId, join.id, join.pdu, options)
  const room = await deps.registry.ensure(roomId, version)
  const committed = await room.run(async (turn) => {
    const joined = await adoptRoom(deps, { version, roomId, server, join, previous: turn.copy, ...answer })
    const publish = turn.replace(joined.copy)
    return {
      done: turn.submit({
        writes: joined.writes,
        publish: (position) => {
          joined.publish()
          publish(position)
        },
      }),
    }
  })
  await committed.done
}

/**
 * An own event on the previous events that another server names. We take `prev_events`, `auth_events` and `depth` from
 * the template, no more: the name key signs only what this node built.
 */
export async function fromTemplate(
  deps: RemoteDeps,
  version: RoomVersion,
  roomId: RoomId,
  template: JsonObject,
  event: EventTemplate,
): Promise<EventInput> {
  const depth = template['depth']
  const parentDepth = typeof depth === 'number' && Number.isSafeInteger(depth) && depth > 0 ? depth - 1 : 0
  const theirs = template['origin_server_ts']
  const now = deps.clock.now()
  const ahead = typeof theirs === 'number' && theirs > now && theirs <= now + MAX_TIMESTAMP_LEAD_MS
  return signOwn(
    deps,
    version,
    buildEvent(version, {
      template: event,
      roomId,
      prevEvents: eventIds(template['prev_events']).map((id) => ({ id, depth: parentDepth })),
      authEvents: eventIds(template['auth_events']),
      now: ahead ? theirs : now,
    }),
  )
}

function eventIds(value: unknown): readonly EventId[] {
  if (!Array.isArray(value) || value.length > MAX_TEMPLATE_EVENTS) {
    throw new RoomError('M_BAD_JSON', 'the template of the other server is malformed')
  }
  return value.map((entry) => {
    const id = typeof entry === 'string' ? parseEventId(entry) : undefined
    if (id === undefined) throw new RoomError('M_BAD_JSON', 'the template of the other server is malformed')
    return id
  })
}

type Answer = {
  readonly version: RoomVersion
  readonly roomId: RoomId
  readonly server: ServerName
  readonly join: EventInput
  /** The copy from an earlier stay in the room. */
  readonly previous: RoomCopy | undefined
  readonly state: readonly JsonObject[]
  readonly authChain: readonly JsonObject[]
  readonly event?: JsonObject
}

type Adopted = {
  readonly copy: RoomCopy
  readonly writes: (position: number) => Write[]
  readonly publish: () => void
}

/** Checks every event that the resident server told and makes the room of them, as one change. */
async function adoptRoom(deps: RemoteDeps, answer: Answer): Promise<Adopted> {
  const { version, roomId, join } = answer
  const { stateIds, records } = await judgeAnswer(deps, answer)
  const byId = new Map(records.map((record) => [record.id, record]))
  const known = await deps.events.working([...stateIds].filter((id) => !byId.has(id)))
  for (const record of known) if (record?.roomId === roomId) byId.set(record.id, record)

  const before = new Map<StateKey, EventId>()
  for (const id of stateIds) {
    const record = byId.get(id)
    const key = record === undefined || record.verdict === 'rejected' ? undefined : stateKeyOf(record.pdu)
    if (key !== undefined) before.set(key, id)
  }
  const createId = createIdOf(version, join.pdu)
  const create = createId === undefined ? undefined : byId.get(createId)
  if (create === undefined || createId === undefined)
    throw new RoomError('M_BAD_STATE', 'no create event was given')
  const final = withCosignature(join, answer.event)
  const joinKey = stateKeyOf(final.pdu)
  if (joinKey === undefined) throw new Error('a join is a state event')
  const replaced = before.get(joinKey)
  const after = new Map(before).set(joinKey, join.id)
  const { group, writes } = deps.groups.create(`after ${join.id}`, after, undefined)
  const joined = new Set<UserId>([final.pdu.sender])
  for (const id of before.values()) {
    const pdu = byId.get(id)?.pdu
    if (id !== replaced && membershipOf(pdu) === 'join') joined.add(pdu?.state_key as UserId)
  }
  const copy: RoomCopy = {
    roomId,
    version,
    create: { id: createId, pdu: create.pdu },
    heads: [join.id],
    current: group,
    joined,
    lowestOrder: answer.previous?.lowestOrder ?? 0,
    backward: final.pdu.prev_events,
  }
  const record: EventRecord = {
    id: join.id,
    roomId,
    pdu: final.pdu,
    verdict: 'accepted',
    basis: 'partial',
    stateGroup: group.id,
    ...(replaced === undefined ? {} : { replaced }),
    position: 0,
    receivedAt: deps.clock.now(),
  }
  return { copy, ...joinChange(deps, answer, copy, record, records, writes) }
}

function joinChange(
  deps: RemoteDeps,
  answer: Answer,
  copy: RoomCopy,
  join: EventRecord,
  outliers: readonly EventRecord[],
  groupWrites: readonly Write[],
): Omit<Adopted, 'copy'> {
  const { roomId, server } = answer
  const servers = new Set([...copy.joined].map(serverOf))
  servers.delete(deps.ownName)
  const others = [...servers].filter((name) => name !== server)
  let final = join
  return {
    writes: (position) => {
      final = { ...join, position, order: position }
      return [
        ...outlierWrites(deps.events, outliers, position),
        ...groupWrites,
        events.put([join.id], final),
        timelines.put([roomId, position], join.id),
        rooms.put([roomId], toRecord(copy, position)),
        memberships.put([join.pdu.sender, roomId], {
          roomId,
          membership: 'join',
          eventId: join.id,
          sender: join.pdu.sender,
          position,
        }),
        ...deps.destinations.joinedRoom(roomId, position, { resident: server, others, join: join.id }),
      ]
    },
    publish: () => deps.events.adopt(final),
  }
}

/** The resident server may add its signature (restricted joins); it may change nothing else. */
function withCosignature(join: EventInput, event: JsonObject | undefined): EventInput {
  const theirs = event?.['signatures']
  if (!isJsonObject(theirs)) return join
  return {
    ...join,
    pdu: { ...join.pdu, signatures: { ...(theirs as Pdu['signatures']), ...join.pdu.signatures } },
  }
}

async function judgeAnswer(
  deps: RemoteDeps,
  answer: Answer,
): Promise<{ stateIds: ReadonlySet<EventId>; records: readonly EventRecord[] }> {
  const { version, roomId } = answer
  const results = await checkEvents(deps.verifier, version, roomId, [...answer.authChain, ...answer.state])
  const checked = new Map<EventId, CheckedEvent>()
  const stateIds = new Set<EventId>()
  results.forEach((result, index) => {
    if (result.kind === 'drop') {
      deps.log.log('warn', 'an event of a join was dropped', {
        roomId,
        server: answer.server,
        why: result.why,
      })
      return
    }
    checked.set(result.event.id, result.event)
    if (index >= answer.authChain.length) stateIds.add(result.event.id)
  })
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
  return { stateIds, records: records.filter((record) => record !== join) }
}

/** Rejects an invite, or leaves a room of which this node holds no state, through a server that does. */
export async function leaveRemotely(
  deps: RemoteDeps,
  server: ServerName,
  userId: UserId,
  roomId: RoomId,
  content: JsonObject | undefined,
): Promise<void> {
  const template = await deps.federation.makeMembership('leave', server, roomId, userId, ROOM_VERSIONS)
  const version = roomVersion(template.roomVersion)
  if (version === undefined)
    throw new RoomError('M_INCOMPATIBLE_ROOM_VERSION', 'room version is not supported')
  const leave = await fromTemplate(deps, version, roomId, template.event, {
    type: 'm.room.member',
    sender: userId,
    stateKey: userId,
    content: { ...content, membership: 'leave' },
  })
  await deps.federation.sendLeave(server, roomId, leave.id, leave.pdu)
}
