/**
 * Invites from other servers. The one place where this node signs an event that another built.
 * spec: server-server-api.md "Inviting to a room"
 */
import type { EventId, JsonObject, KeyId, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import {
  encodeBase64,
  isJsonObject,
  parseUserId,
  roomVersion,
  serverOf,
  signingBytes,
  withSignature,
} from '@plexus/core'
import { membershipOf } from './copy.ts'
import { checkInvitable } from './invites.ts'
import { memberships } from './records.ts'
import type { RemoteDeps } from './remote-join.ts'
import type { EventRecord } from './types.ts'
import { RoomError } from './types.ts'
import { checkEvents } from './verify.ts'

/** Stripped state events kept of an invite. */
export const MAX_STRIPPED_STATE = 50
/** JSON text of them, in UTF-16 code units. */
export const MAX_STRIPPED_STATE_LENGTH = 131_072
/** Invites of one server that may wait for an answer. */
export const MAX_INVITES_OF_SERVER = 50
/** Invites that may wait for an answer. */
export const MAX_WAITING_INVITES = 1_000

export type RemoteInvite = {
  readonly roomVersion: string
  readonly event: JsonObject
  readonly inviteRoomState: readonly JsonObject[]
}

export type AcceptInvite = (
  origin: ServerName,
  roomId: RoomId,
  eventId: EventId,
  invite: RemoteInvite,
) => Promise<{ event: JsonObject }>

/**
 * What is signed must be an invite, of a user of ours, sent by a user of the server that asks, which is not ours, in a
 * room version that we know. DESIGN section 2
 */
export function createAcceptInvite(
  deps: RemoteDeps & { readonly seekUser: (userId: UserId) => Promise<void> },
): AcceptInvite {
  const checkSpace = createInviteCounter(deps)
  return async (origin, roomId, eventId, invite) => {
    const version = roomVersion(invite.roomVersion)
    if (version === undefined) {
      throw new RoomError(
        'M_INCOMPATIBLE_ROOM_VERSION',
        `room version ${invite.roomVersion} is not supported`,
      )
    }
    const { pdu, target } = await checkInvite(deps, origin, version, roomId, eventId, invite.event)
    await checkInvitable(deps, target)
    const isMember =
      (await deps.registry.get(roomId))?.snapshot?.joinedServers.includes(deps.ownName) ?? false
    if (!isMember) await checkSpace(origin)
    await deps.seekUser(target)
    const signature = await deps.signer.sign(signingBytes(version, pdu))
    const signed = withSignature(pdu, deps.ownName, deps.signer.keyId as KeyId, encodeBase64(signature))
    // A room that this node is in learns of the invite by the ordinary way of events.
    if (!isMember) await keepInvite(deps, roomId, eventId, target, pdu, [...invite.inviteRoomState, signed])
    return { event: signed }
  }
}

/** Strangers can invite: the rows that they cause are bounded. */
function createInviteCounter({ store }: RemoteDeps): (origin: ServerName) => Promise<void> {
  let counts: Map<ServerName, number> | undefined
  const count = async (): Promise<Map<ServerName, number>> => {
    const found = new Map<ServerName, number>()
    for (const [, { membership, strippedState, sender }] of await memberships.list(store, [])) {
      if (membership !== 'invite' || strippedState === undefined) continue
      found.set(serverOf(sender), (found.get(serverOf(sender)) ?? 0) + 1)
    }
    return found
  }
  const isFull = (known: ReadonlyMap<ServerName, number>, origin: ServerName): boolean =>
    (known.get(origin) ?? 0) >= MAX_INVITES_OF_SERVER ||
    [...known.values()].reduce((sum, each) => sum + each, 0) >= MAX_WAITING_INVITES
  return async (origin) => {
    counts ??= await count()
    // Only rises are counted as they come; what was answered since is seen when it matters.
    if (isFull(counts, origin)) counts = await count()
    if (isFull(counts, origin)) throw new RoomError('M_LIMIT_EXCEEDED', 'too many invites wait for an answer')
    counts.set(origin, (counts.get(origin) ?? 0) + 1)
  }
}

async function checkInvite(
  deps: RemoteDeps,
  origin: ServerName,
  version: RoomVersion,
  roomId: RoomId,
  eventId: EventId,
  raw: JsonObject,
): Promise<{ pdu: EventRecord['pdu']; target: UserId }> {
  const [checked] = await checkEvents(deps.verifier, version, roomId, [raw])
  if (checked?.kind !== 'ok')
    throw new RoomError('M_INVALID_PARAM', `not a valid invite: ${checked?.why ?? ''}`)
  const { id, pdu, contentHashOk } = checked.event
  const target = pdu.state_key === undefined ? undefined : parseUserId(pdu.state_key)
  if (id !== eventId || !contentHashOk)
    throw new RoomError('M_INVALID_PARAM', 'the event is not the one that the path names')
  if (membershipOf(pdu) !== 'invite' || pdu.type !== 'm.room.member')
    throw new RoomError('M_INVALID_PARAM', 'not an invite')
  if (target === undefined || serverOf(target) !== deps.ownName) {
    throw new RoomError('M_INVALID_PARAM', 'the invited user is not of this server')
  }
  if (serverOf(pdu.sender) !== origin || origin === deps.ownName) {
    throw new RoomError('M_FORBIDDEN', 'the sender is not of the server that asks')
  }
  return { pdu, target }
}

async function keepInvite(
  deps: RemoteDeps,
  roomId: RoomId,
  eventId: EventId,
  target: UserId,
  { sender, origin_server_ts: at }: EventRecord['pdu'],
  shown: readonly JsonObject[],
): Promise<void> {
  const strippedState = stripAll(shown)
  const before = await memberships.get(deps.store, [target, roomId])
  await deps.committer.submit({
    durability: 'strict',
    writes: (position) => [
      memberships.put([target, roomId], {
        roomId,
        membership: 'invite',
        eventId,
        sender,
        position,
        strippedState,
        ...(before === undefined ? {} : { previous: before.membership }),
      }),
      ...deps.services.invited(eventId, roomId, target, at),
    ],
  })
}

/** The last ones, which hold the invite itself, as far as there is room for them. */
function stripAll(shown: readonly JsonObject[]): readonly JsonObject[] {
  const kept: JsonObject[] = []
  let length = 0
  for (const event of shown.slice(-MAX_STRIPPED_STATE).toReversed()) {
    const stripped = strip(event)
    length += JSON.stringify(stripped ?? '').length
    if (length > MAX_STRIPPED_STATE_LENGTH) break
    if (stripped !== undefined) kept.push(stripped)
  }
  return kept.toReversed()
}

/** A stripped event holds what a client may show: type, sender, state key, content. */
function strip(event: JsonObject): JsonObject | undefined {
  const { type, sender, state_key: key, content } = event
  const valid =
    typeof type === 'string' && typeof sender === 'string' && typeof key === 'string' && isJsonObject(content)
  return valid ? { type, sender, state_key: key, content } : undefined
}
