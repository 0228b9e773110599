/**
 * Invites: to users of other servers, from other servers, and by link.
 * spec: server-server-api.md "Inviting to a room", "Third-party invites"
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import type { EventId, JsonObject, KeyId, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import {
  canonicalJson,
  encodeBase64,
  encodeBase64Url,
  isJsonObject,
  parseUserId,
  roomVersion,
  serverOf,
  signingBytes,
  stateKey,
  withSignature,
} from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { createKeyedMutex } from '../kernel/mutex.ts'
import type { Random, Write } from '../ports.ts'
import type { RoomCopy } from './copy.ts'
import { membershipOf } from './copy.ts'
import { buildOwn, decideOwn } from './local.ts'
import { linkInvites, memberships } from './records.ts'
import type { RemoteDeps } from './remote-join.ts'
import type { EventInput, Room, Turn } from './room.ts'
import type { EventRecord } from './types.ts'
import { RoomError } from './types.ts'
import { checkEvents } from './verify.ts'

export type InviteDeps = RemoteDeps & { readonly random: Random }

/** How long an invite link is good. DESIGN section 7 */
export const LINK_INVITE_LIFETIME_MS = 604_800_000
/** Links of one room that may be open. */
export const MAX_LINK_INVITES = 100
/** Stripped state events kept of an invite. */
export const MAX_STRIPPED_STATE = 50
/** The key id in a third-party invite's signature; its server name has no meaning for a link. */
const LINK_KEY_ID = 'ed25519:0'

/** State that an invite shows of a room before it is joined. spec: client-server-api "Stripped state" */
const STRIPPED_STATE_TYPES = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
]

export type RemoteInvite = {
  readonly roomVersion: string
  readonly event: JsonObject
  readonly inviteRoomState: readonly JsonObject[]
}

export interface Invites {
  /** Invites a local or remote user. */
  invite(sender: UserId, roomId: RoomId, target: UserId, content?: JsonObject): Promise<void>
  accept(
    origin: ServerName,
    roomId: RoomId,
    eventId: EventId,
    invite: RemoteInvite,
  ): Promise<{ event: JsonObject }>
  exchange(origin: ServerName, roomId: RoomId, event: JsonObject): Promise<void>
  createLink(roomId: RoomId, as: UserId): Promise<{ token: string; secret: string }>
  revokeLink(roomId: RoomId, token: string, as: UserId): Promise<void>
  /** Empties the links that are past their time. */
  expireLinks(): Promise<void>
}

export function createInvites(deps: InviteDeps): Invites {
  const exchanges = createKeyedMutex()
  const roomOf = async (roomId: RoomId): Promise<Room> => {
    const room = await deps.registry.get(roomId)
    if (room?.snapshot === undefined) throw new RoomError('M_NOT_FOUND', 'this node is not in the room')
    return room
  }
  const setLink = async (
    roomId: RoomId,
    as: UserId,
    token: string,
    content: JsonObject,
    write: Write,
  ): Promise<void> => {
    const room = await roomOf(roomId)
    const { done } = await room.run(async (turn) => {
      const template = { type: 'm.room.third_party_invite', sender: as, stateKey: token, content }
      const event = await buildOwn(deps, copyOf(turn), template)
      return { done: turn.submit(await decideOwn(turn, { ...event, writes: [write] })) }
    })
    await done
  }
  return {
    invite: async (sender, roomId, target, content) =>
      inviteUser(deps, await roomOf(roomId), sender, target, { ...content }),
    accept: (origin, roomId, eventId, invite) => acceptInvite(deps, origin, roomId, eventId, invite),
    // One after the other: a link that two open at once is good for one.
    exchange: async (origin, roomId, event) => {
      const room = await roomOf(roomId)
      return exchanges.run(roomId, () => exchange(deps, room, origin, event))
    },
    async createLink(roomId, as) {
      const open = await linkInvites.list(deps.store, [roomId], { limit: MAX_LINK_INVITES })
      if (open.length >= MAX_LINK_INVITES)
        throw new RoomError('M_LIMIT_EXCEEDED', 'too many open invite links')
      const secret = deps.random.bytes(32)
      const token = encodeBase64Url(deps.random.bytes(18))
      const publicKey = encodeBase64(ed25519.getPublicKey(secret))
      const expires = deps.clock.now() + LINK_INVITE_LIFETIME_MS
      // No identity server stands behind a link: there is no URL at which its key could be checked.
      const content = {
        display_name: 'Invite link',
        key_validity_url: '',
        public_key: publicKey,
        public_keys: [{ public_key: publicKey }],
      }
      await setLink(roomId, as, token, content, linkInvites.put([roomId, token], { as, expires }))
      return { token, secret: encodeBase64Url(secret) }
    },
    revokeLink: (roomId, token, as) => setLink(roomId, as, token, {}, linkInvites.delete([roomId, token])),
    async expireLinks() {
      const now = deps.clock.now()
      for (const [[roomId, token], { as, expires }] of await linkInvites.list(deps.store, [])) {
        if (expires > now) continue
        await setLink(roomId, as, token, {}, linkInvites.delete([roomId, token])).catch((error: unknown) =>
          deps.log.log('warn', 'an expired invite link cannot be emptied', { roomId, error: String(error) }),
        )
      }
    },
  }
}

function copyOf(turn: Turn): RoomCopy {
  if (turn.copy === undefined) throw new RoomError('M_NOT_FOUND', 'this node is not in the room')
  return turn.copy
}

async function inviteUser(
  deps: InviteDeps,
  room: Room,
  sender: UserId,
  target: UserId,
  content: JsonObject,
  writes: readonly Write[] = [],
): Promise<void> {
  const template = {
    type: 'm.room.member',
    sender,
    stateKey: target,
    content: { ...content, membership: 'invite' },
  }
  if (serverOf(target) === deps.ownName) {
    const { done } = await room.run(async (turn) => {
      const event = await buildOwn(deps, copyOf(turn), template)
      return { done: turn.submit(await decideOwn(turn, { ...event, writes })) }
    })
    await done
    return
  }
  if (!isKeyName(serverOf(target))) {
    throw new RoomError(
      'M_FORBIDDEN',
      'this room lives among Plexus nodes: a user of an ordinary homeserver cannot join it',
    )
  }
  // The invitee's server signs before the room learns of it, outside of the room's queue: the network is slow.
  const { event, strippedState } = await room.run(async (turn) => {
    const built = await buildOwn(deps, copyOf(turn), template)
    // Nobody is to hear of an invite that does not stand.
    const why = await turn.check(built)
    if (why !== undefined) throw new RoomError('M_FORBIDDEN', why)
    return { event: built, strippedState: await strippedStateOf(deps, copyOf(turn)) }
  })
  const answer = await deps.federation.invite(serverOf(target), room.roomId, event.id, {
    roomVersion: room.version.id,
    event: event.pdu,
    inviteRoomState: strippedState,
  })
  const cosigned = await withInviteeSignature(deps, room, event, answer.event, serverOf(target))
  const { done } = await room.run(async (turn) => ({
    done: turn.submit(await decideOwn(turn, { ...cosigned, writes })),
  }))
  await done
}

/** Takes the invitee's signature, and nothing else, from the answer. */
async function withInviteeSignature(
  deps: InviteDeps,
  room: Room,
  event: EventInput,
  answer: JsonObject,
  server: ServerName,
): Promise<EventInput> {
  const signatures = answer['signatures']
  const theirs = isJsonObject(signatures) ? signatures[server] : undefined
  if (!isJsonObject(theirs)) throw new RoomError('M_UNKNOWN', 'the invited server did not sign the invite')
  const [keyId, signature] = Object.entries(theirs)[0] ?? []
  if (keyId === undefined || typeof signature !== 'string') {
    throw new RoomError('M_UNKNOWN', 'the invited server did not sign the invite')
  }
  const pdu = withSignature(event.pdu, server, keyId as KeyId, signature)
  const [checked] = await checkEvents(deps.verifier, room.version, room.roomId, [pdu])
  if (checked?.kind !== 'ok')
    throw new RoomError('M_UNKNOWN', 'the invited server gave a malformed signature')
  return { ...event, pdu }
}

async function strippedStateOf(deps: InviteDeps, copy: RoomCopy): Promise<readonly JsonObject[]> {
  const ids = STRIPPED_STATE_TYPES.flatMap((type) => copy.current.state.get(stateKey(type, '')) ?? [])
  const records = await deps.events.working([copy.create.id, ...ids])
  // spec: server-server-api.md: the create event goes whole, so that the invitee's server can check the room id.
  return records.flatMap((record): JsonObject[] => (record === undefined ? [] : [record.pdu]))
}

/** A stripped event holds what a client may show: type, sender, state key, content. */
function strip(event: JsonObject): JsonObject | undefined {
  const { type, sender, state_key: key, content } = event
  const valid =
    typeof type === 'string' && typeof sender === 'string' && typeof key === 'string' && isJsonObject(content)
  return valid ? { type, sender, state_key: key, content } : undefined
}

/**
 * The one place where this node signs an event that another built. It must be an invite, of a user of ours, sent by a
 * user of the server that asks, which is not ours, in a room version that we know. DESIGN section 2
 */
async function acceptInvite(
  deps: InviteDeps,
  origin: ServerName,
  roomId: RoomId,
  eventId: EventId,
  invite: RemoteInvite,
): Promise<{ event: JsonObject }> {
  const version = roomVersion(invite.roomVersion)
  if (version === undefined) {
    throw new RoomError('M_INCOMPATIBLE_ROOM_VERSION', `room version ${invite.roomVersion} is not supported`)
  }
  const { pdu, target } = await checkInvite(deps, origin, version, roomId, eventId, invite.event)
  const signature = await deps.signer.sign(signingBytes(version, pdu))
  const signed = withSignature(pdu, deps.ownName, deps.signer.keyId as KeyId, encodeBase64(signature))
  const isMember = (await deps.registry.get(roomId))?.snapshot?.joinedServers.includes(deps.ownName) ?? false
  // A room that this node is in learns of the invite by the ordinary way of events.
  if (!isMember)
    await keepInvite(deps, roomId, eventId, target, pdu.sender, [...invite.inviteRoomState, signed])
  return { event: signed }
}

async function checkInvite(
  deps: InviteDeps,
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
  deps: InviteDeps,
  roomId: RoomId,
  eventId: EventId,
  target: UserId,
  sender: UserId,
  shown: readonly JsonObject[],
): Promise<void> {
  const strippedState = shown
    .slice(-MAX_STRIPPED_STATE)
    .map(strip)
    .filter((event) => event !== undefined)
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
    ],
  })
}

/** Makes an ordinary invite of a third-party one. spec: PUT /_matrix/federation/v1/exchange_third_party_invite */
async function exchange(deps: InviteDeps, room: Room, origin: ServerName, event: JsonObject): Promise<void> {
  const wanted = parseExchange(event)
  if (wanted === undefined || serverOf(wanted.target) !== origin) {
    throw new RoomError('M_FORBIDDEN', 'not the exchange of an invite for a user of the server that asks')
  }
  const held = room.snapshot?.state.get(stateKey('m.room.third_party_invite', wanted.token))
  const record = held === undefined ? undefined : await deps.events.get(held)
  const link = await linkInvites.get(deps.store, [room.roomId, wanted.token])
  if (record === undefined || link === undefined || record.pdu.content['public_key'] === undefined) {
    throw new RoomError('M_FORBIDDEN', 'the invite link was used, revoked or never made')
  }
  if (record.pdu.sender !== wanted.sender || serverOf(wanted.sender) !== deps.ownName) {
    throw new RoomError('M_FORBIDDEN', 'only the server of the inviter can exchange its links')
  }
  if (link.expires <= deps.clock.now()) throw new RoomError('M_FORBIDDEN', 'the invite link has expired')
  const content = {
    third_party_invite: { display_name: record.pdu.content['display_name'] ?? '', signed: wanted.signed },
  }
  await inviteUser(deps, room, wanted.sender, wanted.target, content)
  await emptyLink(deps, room, wanted.sender, wanted.token)
}

async function emptyLink(deps: InviteDeps, room: Room, sender: UserId, token: string): Promise<void> {
  const { done } = await room.run(async (turn) => {
    const template = { type: 'm.room.third_party_invite', sender, stateKey: token, content: {} }
    const event = await buildOwn(deps, copyOf(turn), template)
    const change = await decideOwn(turn, { ...event, writes: [linkInvites.delete([room.roomId, token])] })
    return { done: turn.submit(change) }
  })
  await done
}

type Exchange = {
  readonly sender: UserId
  readonly target: UserId
  readonly token: string
  /** Rebuilt from its checked parts: nothing unknown gets under this node's signature. */
  readonly signed: JsonObject
}

function parseExchange(event: JsonObject): Exchange | undefined {
  const content = event['content']
  const thirdParty = isJsonObject(content) ? content['third_party_invite'] : undefined
  const signed = isJsonObject(thirdParty) ? thirdParty['signed'] : undefined
  const { sender, state_key: key, type } = event
  if (type !== 'm.room.member' || typeof sender !== 'string' || typeof key !== 'string') return undefined
  if (!isJsonObject(content) || content['membership'] !== 'invite' || !isJsonObject(signed)) return undefined
  const { mxid, token, signatures } = signed
  const target = parseUserId(key)
  const inviter = parseUserId(sender)
  if (target === undefined || inviter === undefined || mxid !== target || typeof token !== 'string')
    return undefined
  if (!isJsonObject(signatures) || Object.values(signatures).some((entry) => !isJsonObject(entry)))
    return undefined
  return { sender: inviter, target, token, signed: { mxid, token, signatures, ...signedSender(signed) } }
}

/** The link's own addition to the signed object: whose link it is. */
function signedSender(signed: JsonObject): JsonObject {
  return typeof signed['sender'] === 'string' ? { sender: signed['sender'] } : {}
}

/** What the opener of a link sends to the inviter's server. */
export function exchangeRequest(
  link: { token: string; secret: Uint8Array; inviter: UserId; roomId: RoomId },
  as: UserId,
): JsonObject {
  const signed = { mxid: as, sender: link.inviter, token: link.token }
  const signature = encodeBase64(ed25519.sign(utf8ToBytes(canonicalJson(signed)), link.secret))
  return {
    type: 'm.room.member',
    room_id: link.roomId,
    sender: link.inviter,
    state_key: as,
    content: {
      membership: 'invite',
      third_party_invite: {
        display_name: 'Invite link',
        signed: { ...signed, signatures: { [serverOf(as)]: { [LINK_KEY_ID]: signature } } },
      },
    },
  }
}
