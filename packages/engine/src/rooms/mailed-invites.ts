/**
 * Invites to users whose node is away, the inviter's side: the invite is in the room, and goes to the node by the durable EDU
 * `plexus.invite` with what the node needs to join though nobody answers it. DESIGN section 8 "First contact with both
 * asleep in turn". Of the invite's signatures the rules ask for its sender's alone.
 *
 * spec: server-server-api.md "Inviting to a room": the invitee's server must be asked to sign; it is, and signs when it wakes.
 */
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { JsonObject, Pdu, RoomId, ServerName, StateMap, UserId } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import { memberKey, parseUserId, serverOf } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Edu } from '../outbox-types.ts'
import type { Store, Write } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import { membershipOf, type RoomCopy } from './copy.ts'
import type { EventStore } from './event-store.ts'
import { VISIBILITY_KEY } from './past-visibility.ts'
import { mailedInvites } from './records.ts'
import type { EventInput, Room } from './room.ts'
import { stateWithShortChain } from './told-state.ts'
import type { EventRecord } from './types.ts'

/** How long the invitee's node is waited for before the invite is mailed. */
export const INVITE_WAIT_MS = 5_000
/** Bytes of a mailed invite as JSON: it fits a mail from somebody whom the recipient does not know. */
export const MAX_MAILED_INVITE_BYTES: number = 45 * 1024
/** Events of the state of a room that a mailed invite holds; to a larger one the way leads through who is there. */
const MAX_PACKED_STATE = 200
/** Those of one room that get its events before they answer. */
export const MAX_MAILED_INVITES = 20
/** Rooms of which it is remembered who waits to be invited. */
const MAX_REMEMBERED_ROOMS = 1_000

export const MAILED_INVITE = 'plexus.invite'
/** `{room_id, event_id, event}`: the leave of who refuses such an invite, as PUT /send_leave has it. */
export const MAILED_LEAVE = 'plexus.send_leave'

/** Implemented by outbox and mail. */
export type RoomMail = {
  readonly queueDurable: (destination: ServerName, edu: Edu) => readonly Write[]
  readonly isFull: (destination: ServerName) => boolean
  /** True for a node that keeps mailboxes, as far as anybody knows. */
  readonly hasMailboxes: (name: ServerName) => Promise<boolean>
}

/** True for a node that is to be mailed what it does not answer, as far as there is room for it. */
export async function isAsleep(
  mail: Pick<RoomMail, 'hasMailboxes' | 'isFull'>,
  server: ServerName,
  error: unknown,
): Promise<boolean> {
  const isAway = isKeyName(server) && error instanceof CarrierError && error.code !== 'refused'
  return isAway && !mail.isFull(server) && mail.hasMailboxes(server)
}

export type MailedInvite = {
  readonly event: EventInput
  readonly inviteRoomState: readonly JsonObject[]
  /** What the invite follows. */
  readonly before: StateMap
}

/** The EDU: with the state before the invite where that fits; `undefined` for an invite that no mail holds. */
export async function mailedInvite(
  deps: { readonly events: EventStore },
  { roomId, version, snapshot }: Room,
  { event, inviteRoomState, before }: MailedInvite,
): Promise<Edu | undefined> {
  const bare = {
    room_id: roomId,
    event_id: event.id,
    room_version: version.id,
    event: event.pdu,
    invite_room_state: inviteRoomState,
  }
  if (before.size <= MAX_PACKED_STATE) {
    const { state, authChain } = await stateWithShortChain(deps, version, before)
    const doubt = snapshot?.isUnconfirmed === true ? { unconfirmed: true } : {}
    const whole = { ...bare, state, auth_chain: authChain, ...doubt }
    if (fits(whole)) return { edu_type: MAILED_INVITE, content: whole }
  }
  return fits(bare) ? { edu_type: MAILED_INVITE, content: bare } : undefined
}

const fits = (content: JsonObject): boolean =>
  utf8ToBytes(JSON.stringify(content)).length <= MAX_MAILED_INVITE_BYTES

/**
 * Whose invites were mailed, by whomever: their servers have not signed them. Until they answer they get the own events of the
 * room as its members do, and so miss nothing that a member follows.
 */
export interface MailedInvites {
  /** An event is accepted: the writes that note the invite, if it is such a one. */
  accepted(event: Pick<EventRecord, 'roomId' | 'pdu'>): Promise<readonly Write[]>
  /**
   * The servers of those who are invited still, and the writes that forget the others. `copy`: the room after the event that
   * is to be told.
   */
  waiting(
    copy: RoomCopy,
  ): Promise<{ readonly servers: readonly ServerName[]; readonly writes: readonly Write[] }>
}

export function createMailedInvites(store: Store, events: EventStore): MailedInvites {
  const known = createLru<RoomId, ReadonlySet<UserId>>(MAX_REMEMBERED_ROOMS)
  const load = async (roomId: RoomId): Promise<ReadonlySet<UserId>> => {
    const held = known.get(roomId)
    if (held !== undefined) return held
    const rows = await mailedInvites.list(store, [roomId])
    const users = known.get(roomId) ?? new Set(rows.map(([[, userId]]) => userId))
    known.set(roomId, users)
    return users
  }
  return {
    async accepted({ roomId, pdu }) {
      const userId = unsignedInvitee(pdu)
      if (userId === undefined) return []
      const users = await load(roomId)
      if (users.size >= MAX_MAILED_INVITES) return []
      known.set(roomId, new Set([...users, userId]))
      return [mailedInvites.put([roomId, userId], {})]
    },
    async waiting({ roomId, current }) {
      const users = [...(await load(roomId))]
      if (users.length === 0) return { servers: [], writes: [] }
      const ids = users.map((user) => current.state.get(memberKey(user)))
      const visibility = current.state.get(VISIBILITY_KEY)
      const records = await events.working([...ids, visibility].filter((id) => id !== undefined))
      const byId = new Map(records.map((record) => [record?.id, record]))
      const isWaiting = (_user: UserId, index: number): boolean =>
        membershipOf(byId.get(ids[index])?.pdu) === 'invite'
      const waiting = users.filter(isWaiting)
      const over = users.filter((user) => !waiting.includes(user))
      if (over.length > 0) known.set(roomId, new Set(waiting))
      // Where history is for who has joined they get what follows once they have.
      const held = visibility === undefined ? undefined : byId.get(visibility)
      const isShown = held?.pdu.content['history_visibility'] !== 'joined'
      return {
        servers: isShown ? [...new Set(waiting.map(serverOf))] : [],
        writes: over.map((user) => mailedInvites.delete([roomId, user])),
      }
    },
  }
}

/** Whom an invite invites whose server has not signed it, though it could meet the sender's. */
function unsignedInvitee(pdu: Pdu): UserId | undefined {
  const userId = membershipOf(pdu) === 'invite' ? parseUserId(pdu.state_key ?? '') : undefined
  if (userId === undefined || serverOf(userId) === serverOf(pdu.sender)) return undefined
  const isSigned = Object.hasOwn(pdu.signatures ?? {}, serverOf(userId))
  return isSigned || !isKeyName(serverOf(userId)) ? undefined : userId
}
