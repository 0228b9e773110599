/** Joining and leaving rooms through another server. spec: server-server-api.md "Joining Rooms", "Leaving Rooms" */
import type {
  EventReference,
  EventTemplate,
  JsonObject,
  JsonValue,
  RoomId,
  RoomVersion,
  ServerName,
  UserId,
} from '@plexus/core'
import {
  buildEvent,
  isJsonObject,
  parseReferences,
  parseUserId,
  ROOM_VERSIONS,
  roomVersion,
  serverOf,
} from '@plexus/core'
import { canMeet } from '@plexus/core/names'
import type { Change } from '../kernel/committer.ts'
import { combineChanges } from '../kernel/committer.ts'
import type { ServerKeys } from '../keys/types.ts'
import type { Verifier } from '../ports.ts'
import { CarrierError, FederationError } from '../ports.ts'
import { enterRoom, MAX_UNPROVEN_SERVERS } from './enter-room.ts'
import { fetchGap } from './gap-fill.ts'
import { MIXED_ROOM } from './networks.ts'
import type { LocalDeps } from './local.ts'
import type { Outsiders } from './outsiders.ts'
import { MAX_TIMESTAMP_LEAD_MS, newEventId, signOwn } from './local.ts'
import { withSignatureOf } from './co-sign.ts'
import { AUTHORISER } from './restricted.ts'
import type { DestinationTracker, EventInput, Room } from './room.ts'
import { RoomError } from './types.ts'

/** Whether a user of this node wants no invites. */
export type InvitePolicy = (userId: UserId) => Promise<boolean>

export type RemoteDeps = LocalDeps & {
  readonly verifier: Verifier
  readonly keys: ServerKeys
  readonly destinations: DestinationTracker
  readonly blocksInvites: InvitePolicy
  readonly outsiders: Outsiders
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

/** How long a resident server is waited for by who could join without. */
const RESIDENT_WAIT_MS = 5_000

/**
 * Joins through the first of `via` that helps, or where none of them answers by `alone`. @throws RoomError with what the
 * last of them said.
 */
export async function joinRemotely(
  deps: RemoteDeps,
  via: readonly ServerName[],
  request: JoinRequest,
  alone?: () => Promise<boolean>,
): Promise<void> {
  const waitMs = alone === undefined ? undefined : RESIDENT_WAIT_MS
  let last: unknown = new RoomError('M_NOT_FOUND', 'no server is known through which this room can be joined')
  const absent = new Set<ServerName>()
  for (const server of via.filter((name) => name !== deps.ownName).slice(0, MAX_VIA)) {
    request.signal?.throwIfAborted()
    try {
      const others = via.filter((name) => !absent.has(name))
      return await joinThrough(deps, server, others, { ...request, waitMs })
    } catch (error) {
      // By its own word it is not in the room, and is asked nothing more about it.
      if (error instanceof FederationError && error.remote.status === 404) absent.add(server)
      // What a server said outweighs that another one could not be reached.
      if (!(error instanceof CarrierError && last instanceof FederationError)) last = error
      deps.log.log('info', 'a server did not help to join', {
        roomId: request.roomId,
        server,
        error: String(error),
      })
    }
  }
  if (last instanceof CarrierError && (await alone?.()) === true) return
  throw asRoomError(last, 'the room cannot be joined')
}

/** What another server says about a room that is as good as our own word. */
const PASSED_ON: ReadonlyMap<string, RoomError['errcode']> = new Map(
  (
    [
      'M_FORBIDDEN',
      'M_NOT_FOUND',
      'M_INVITE_BLOCKED',
      'M_INCOMPATIBLE_ROOM_VERSION',
      'M_UNABLE_TO_AUTHORISE_JOIN',
      'M_UNABLE_TO_GRANT_JOIN',
    ] as const
  ).map((errcode) => [errcode, errcode]),
)

export function asRoomError(error: unknown, what: string): Error {
  if (error instanceof RoomError) return error
  if (error instanceof FederationError) {
    const { errcode, error: message } = error.remote
    return new RoomError(PASSED_ON.get(errcode) ?? 'M_UNKNOWN', `${what}: ${message}`)
  }
  if (error instanceof CarrierError)
    return new RoomError('M_UNKNOWN', `${what}: nobody there could be reached (${error.message})`)
  return error instanceof Error ? error : new Error(String(error))
}

async function joinThrough(
  deps: RemoteDeps,
  server: ServerName,
  via: readonly ServerName[],
  request: JoinRequest & { readonly waitMs: number | undefined },
): Promise<void> {
  const { roomId, userId, waitMs } = request
  const options = request.signal === undefined ? {} : { signal: request.signal }
  const template = await deps.federation.makeMembership(
    'join',
    server,
    roomId,
    userId,
    ROOM_VERSIONS,
    waitMs === undefined ? options : { ...options, timeoutMs: waitMs },
  )
  const version = roomVersion(template.roomVersion)
  if (version === undefined) {
    throw new RoomError(
      'M_INCOMPATIBLE_ROOM_VERSION',
      `room version ${template.roomVersion} is not supported`,
    )
  }
  const authoriser = authoriserIn(template.event, server)
  const content = {
    ...request.content,
    membership: 'join',
    ...(authoriser === undefined ? {} : { [AUTHORISER]: authoriser }),
  }
  const built = await fromTemplate(deps, version, roomId, template.event, {
    type: 'm.room.member',
    sender: userId,
    stateKey: userId,
    content,
  })
  const told = await deps.federation.sendJoin(server, roomId, built.id, built.pdu, options)
  const join =
    authoriser === undefined ? built : await withSignatureOf(deps, version, built, told.event, server)
  if (mixesNetworks(deps.ownName, told.state, told.serversInRoom?.slice(0, MAX_UNPROVEN_SERVERS))) {
    await leaveAgain(deps, server, request)
    throw new RoomError('M_FORBIDDEN', MIXED_ROOM)
  }
  const room = await deps.registry.ensure(roomId, version)
  try {
    if (await rejoin(deps, room, server, join)) return
    // What one server tells takes no place of what this node knows: it learns of the join with what follows it.
    if (isHere(room, deps.ownName))
      throw new RoomError('M_UNKNOWN', `${server} does not tell what the join follows`)
    await enterRoom(deps, room, { server, via, join, ...told })
  } catch (error) {
    deps.registry.discard(room)
    throw error
  }
}

/** True when this node has a joined member, so that its state of the room is current. */
export function isHere({ snapshot }: Room, ownName: ServerName): boolean {
  return snapshot?.joinedServers.includes(ownName) ?? false
}

/** Who authorises the join of a restricted room: a user of the server that is to sign for it, or nobody. */
function authoriserIn(template: JsonObject, server: ServerName): UserId | undefined {
  const { content } = template
  const named = isJsonObject(content) ? content[AUTHORISER] : undefined
  const userId = typeof named === 'string' ? parseUserId(named) : undefined
  return userId !== undefined && serverOf(userId) === server ? userId : undefined
}

/**
 * A member that comes back takes its join as any event, after what it missed, so that the timeline goes on without a
 * hole. False when too much was missed, or the resident server does not tell it.
 */
async function rejoin(deps: RemoteDeps, room: Room, server: ServerName, join: EventInput): Promise<boolean> {
  const { roomId, version } = room
  const copy = await room.run((turn) => Promise.resolve(turn.copy))
  if (copy === undefined) return false
  try {
    const { heads, backward, since } = copy
    const missed = await fetchGap(deps, { roomId, version, heads, backward, since, event: join, server })
    if (missed === undefined || missed.lowest.length > 0) return false
    const { done } = await room.run(async (turn) => {
      const changes: Change[] = []
      for (const event of [...missed.events, join]) {
        const { change } = await turn.decide(event)
        if (change !== undefined) changes.push(change)
      }
      const isJoined = turn.copy?.joined.has(join.pdu.sender) === true
      return { done: isJoined ? turn.submit(combineChanges(changes)) : undefined }
    })
    await done
    return done !== undefined
  } catch (error) {
    if (room.void) throw error
    deps.log.log('info', 'what was missed is not told', { roomId, server, error: String(error) })
    return false
  }
}

/**
 * True for a room that this node must keep out of, as far as the state tells: who of its members is on an ordinary
 * homeserver could not check the events of a node without a DNS name. Events that cannot be checked here tell it too,
 * so the raw state counts. DESIGN section 2
 */
export function mixesNetworks(
  ownName: ServerName,
  state: readonly JsonObject[],
  servers: readonly ServerName[] = [],
): boolean {
  const isWelcome = canMeet(ownName)
  if (!servers.every(isWelcome)) return true
  return state.some(({ type, state_key: key, content }) => {
    const membership = isJsonObject(content) ? content['membership'] : undefined
    if (type !== 'm.room.member' || (membership !== 'join' && membership !== 'invite')) return false
    const userId = typeof key === 'string' ? parseUserId(key) : undefined
    return userId !== undefined && !isWelcome(serverOf(userId))
  })
}

async function leaveAgain(
  deps: RemoteDeps,
  server: ServerName,
  { userId, roomId }: JoinRequest,
): Promise<void> {
  await leaveRemotely(deps, server, userId, roomId, {}).catch((error: unknown) =>
    deps.log.log('warn', 'a room that was joined in vain could not be left', {
      roomId,
      server,
      error: String(error),
    }),
  )
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
  const eventId = newEventId(deps, version)
  const ahead = typeof theirs === 'number' && theirs > now && theirs <= now + MAX_TIMESTAMP_LEAD_MS
  return signOwn(
    deps,
    version,
    buildEvent(version, {
      template: event,
      roomId,
      ...(eventId === undefined ? {} : { eventId }),
      prevEvents: references(version, template['prev_events']).map((reference) => ({
        reference,
        depth: parentDepth,
      })),
      authEvents: references(version, template['auth_events']),
      now: ahead ? theirs : now,
    }),
  )
}

function references(version: RoomVersion, value: JsonValue | undefined): readonly EventReference[] {
  const found = parseReferences(version, value, MAX_TEMPLATE_EVENTS)
  if (found === undefined) {
    throw new RoomError('M_BAD_JSON', 'the template of the other server is malformed')
  }
  return found
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
