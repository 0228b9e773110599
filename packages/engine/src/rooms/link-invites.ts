/**
 * Invite links: third-party invites whose key is in the link. DESIGN section 7 "Invite links",
 * spec: server-server-api.md "Third-party invites"
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { JsonObject, JsonValue, RoomId, ServerName, UserId } from '@plexus/core'
import {
  canonicalJson,
  encodeBase64,
  encodeBase64Url,
  isJsonObject,
  memberKey,
  parseUserId,
  serverOf,
  stateKey,
} from '@plexus/core'
import type { Change } from '../kernel/committer.ts'
import { createKeyedMutex } from '../kernel/mutex.ts'
import type { Write } from '../ports.ts'
import { CarrierError, FederationError } from '../ports.ts'
import { inviteUser, memberRoom, type InviteDeps } from './invites.ts'
import { buildOwn, decideOwn, recommendedOwn } from './local.ts'
import { linkInvites } from './records.ts'
import type { Room, Turn } from './room.ts'
import { RoomError } from './types.ts'

/** How long an invite link is good. DESIGN section 7 */
export const LINK_INVITE_LIFETIME_MS = 604_800_000
/** Links of one room that may be open. */
export const MAX_LINK_INVITES = 100
/** Length of a signature's key id, server name and text that are taken into an invite. */
const MAX_SIGNATURE_TEXT = 255
/** The key id in a third-party invite's signature; its server name has no meaning for a link. */
const LINK_KEY_ID = 'ed25519:0'

export interface LinkInvites {
  /**
   * Makes an ordinary invite of a link. `byMail`: as `InviteRequest` has it.
   * spec: PUT /_matrix/federation/v1/exchange_third_party_invite
   */
  exchange(origin: ServerName, roomId: RoomId, event: JsonObject, byMail?: true): Promise<void>
  createLink(roomId: RoomId, as: UserId): Promise<{ token: string; secret: string }>
  revokeLink(roomId: RoomId, token: string, as: UserId): Promise<void>
  /** Empties the links that are past their time. */
  expireLinks(): Promise<void>
}

export function createLinkInvites(deps: InviteDeps): LinkInvites {
  const exchanges = createKeyedMutex()
  const setLink = async (link: Link, check: (turn: Turn) => void = () => undefined): Promise<void> => {
    const room = await memberRoom(deps, link.roomId)
    const change = await prepareLink(deps, room, link)
    const { done } = await room.run(async (turn) => {
      check(turn)
      return { done: turn.submit(await change(turn)) }
    })
    await done
  }
  const expire = async (roomId: RoomId, token: string, as: UserId): Promise<void> => {
    try {
      await setLink(emptyLink(roomId, token, as))
    } catch (error) {
      if (!(error instanceof RoomError)) throw error
      // Who may no longer empty it, or is in the room no longer: without its row the link opens nothing.
      await deps.committer.submit({ writes: () => [linkInvites.delete([roomId, token])] })
    }
  }
  return {
    // One after the other: a link that two open at once is good for one.
    exchange: async (origin, roomId, event, byMail) => {
      const room = await memberRoom(deps, roomId)
      return exchanges.run(roomId, () => exchange(deps, room, origin, { event, byMail }))
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
      const row = linkInvites.put([roomId, token], { as, expires })
      await setLink({ roomId, as, token, content, writes: [row] })
      return { token, secret: encodeBase64Url(secret) }
    },
    revokeLink: (roomId, token, as) =>
      setLink(emptyLink(roomId, token, as), ({ copy }) => {
        if (copy?.current.state.has(stateKey('m.room.third_party_invite', token)) !== true)
          throw new RoomError('M_NOT_FOUND', 'there is no such invite link')
      }),
    async expireLinks() {
      const now = deps.clock.now()
      for (const [[roomId, token], { as, expires }] of await linkInvites.list(deps.store, [])) {
        if (expires <= now) await expire(roomId, token, as)
      }
    },
  }
}

type Link = {
  readonly roomId: RoomId
  readonly as: UserId
  readonly token: string
  readonly content: JsonObject
  readonly writes: readonly Write[]
}

/** What puts the link into the room's state; asks before the turn what has to be asked. */
async function prepareLink(
  deps: InviteDeps,
  room: Room,
  { as: sender, token, content, writes }: Link,
): Promise<(turn: Turn) => Promise<Change>> {
  const template = { type: 'm.room.third_party_invite', sender, stateKey: token, content }
  const prepared = await recommendedOwn(deps, room, template)
  return async (turn) => {
    if (turn.copy === undefined) throw new RoomError('M_NOT_FOUND', 'this node is not in the room')
    return decideOwn(turn, { ...(prepared ?? (await buildOwn(deps, turn.copy, template))), writes })
  }
}

function emptyLink(roomId: RoomId, token: string, as: UserId): Link {
  return { roomId, token, as, content: {}, writes: [linkInvites.delete([roomId, token])] }
}

async function exchange(
  deps: InviteDeps,
  room: Room,
  origin: ServerName,
  { event, byMail }: { readonly event: JsonObject; readonly byMail: true | undefined },
): Promise<void> {
  const wanted = parseExchange(event)
  if (wanted === undefined || serverOf(wanted.target) !== origin) {
    throw new RoomError('M_FORBIDDEN', 'not the exchange of an invite for a user of the server that asks')
  }
  const { roomId } = room
  const { token, sender, target } = wanted
  const held = room.snapshot?.state.get(stateKey('m.room.third_party_invite', token))
  const record = held === undefined ? undefined : await deps.events.get(held)
  const link = await linkInvites.get(deps.store, [roomId, token])
  if (record === undefined || link === undefined || record.pdu.content['public_key'] === undefined) {
    // The answer to the first request may have been lost.
    if (await isInvitedBy(deps, room, target, token)) return
    throw new RoomError('M_FORBIDDEN', 'the invite link was used, revoked or never made')
  }
  if (record.pdu.sender !== sender || serverOf(sender) !== deps.ownName) {
    throw new RoomError('M_FORBIDDEN', 'only the server of the inviter can exchange its links')
  }
  if (link.expires <= deps.clock.now()) throw new RoomError('M_FORBIDDEN', 'the invite link has expired')
  const content = {
    third_party_invite: { display_name: record.pdu.content['display_name'] ?? '', signed: wanted.signed },
  }
  // The link is used up in the commit that holds the invite.
  const empty = await prepareLink(deps, room, emptyLink(roomId, token, sender))
  const request = { sender, target, content, byMail }
  const invited = inviteUser(deps, room, request, async (turn) => [await empty(turn)])
  await invited.catch((error: unknown) => {
    // It is the server that asks which would not sign: no fault of this one.
    if (error instanceof CarrierError || error instanceof FederationError)
      throw new RoomError('M_FORBIDDEN', 'the server of the invited user does not take the invite')
    throw error
  })
}

/** True when the user holds an invite that this very link was exchanged for. */
async function isInvitedBy(deps: InviteDeps, room: Room, target: UserId, token: string): Promise<boolean> {
  const id = room.snapshot?.state.get(memberKey(target))
  const content = id === undefined ? undefined : (await deps.events.get(id))?.pdu.content
  const signed = at(at(content, 'third_party_invite'), 'signed')
  return content?.['membership'] === 'invite' && signed?.['token'] === token
}

function at(value: JsonObject | undefined, key: string): JsonObject | undefined {
  const inner = value?.[key]
  return isJsonObject(inner) ? inner : undefined
}

type Exchange = {
  readonly sender: UserId
  readonly target: UserId
  readonly token: string
  /** Rebuilt from its checked parts: nothing unknown gets under this node's signature. */
  readonly signed: JsonObject
}

export function parseExchange(event: JsonObject): Exchange | undefined {
  const content = at(event, 'content')
  const signed = at(at(content, 'third_party_invite'), 'signed')
  const { sender, state_key: key, type } = event
  if (type !== 'm.room.member' || typeof sender !== 'string' || typeof key !== 'string') return undefined
  if (content?.['membership'] !== 'invite' || signed === undefined) return undefined
  const { mxid, token, sender: ofLink } = signed
  const target = parseUserId(key)
  const inviter = parseUserId(sender)
  if (target === undefined || inviter === undefined || mxid !== target || typeof token !== 'string')
    return undefined
  const signatures = oneSignature(signed['signatures'])
  if (signatures === undefined || (ofLink !== undefined && ofLink !== inviter)) return undefined
  // The link's own addition to the signed object: whose link it is.
  const added = ofLink === undefined ? {} : { sender: inviter }
  return { sender: inviter, target, token, signed: { mxid, token, signatures, ...added } }
}

/** The one signature that the secret of a link makes. */
function oneSignature(signatures: JsonValue | undefined): JsonObject | undefined {
  const [server, ...others] = isJsonObject(signatures) ? Object.entries(signatures) : []
  const byKey = server?.[1]
  const [key, ...more] = isJsonObject(byKey) ? Object.entries(byKey) : []
  if (server === undefined || key === undefined || others.length > 0 || more.length > 0) return undefined
  const texts = [server[0], ...key]
  return texts.every((text) => typeof text === 'string' && text.length <= MAX_SIGNATURE_TEXT)
    ? { [server[0]]: { [key[0]]: key[1] } }
    : undefined
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
