/** The durable EDUs by which nodes that are never awake together invite each other. DESIGN section 8 "First contact" */
import type { EventId, JsonObject, ServerName } from '@plexus/core'
import { canonicalJson, isJsonObject, MAX_PDU_BYTES, parseRoomId, stateKey, utf8Length } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { EduEffect, EduHandler } from '../outbox-types.ts'
import type { AcceptInvite } from './accept-invite.ts'
import { aclOf } from './acl.ts'
import { takeMailedInvite } from './invite-packages.ts'
import type { InviteDeps } from './invites.ts'
import { parseExchange, type LinkInvites } from './link-invites.ts'
import { MAILED_INVITE, MAILED_LEAVE } from './mailed-invites.ts'
import { isHere } from './remote-join.ts'
import type { Room } from './room.ts'
import { acceptMembership } from './serve-membership.ts'
import { RoomError } from './types.ts'

/** `{room_id, event}`: the body of PUT /exchange_third_party_invite, for a node that is away. */
export const MAILED_EXCHANGE = 'plexus.exchange_third_party_invite'

/** `{room_id, token}`: the answer to it where the link was used, revoked, or is too old. */
export const EXCHANGE_REFUSED = 'plexus.exchange_refused'
/** How often a server is told the same of one link, and of how many links it is remembered. */
const REFUSAL_INTERVAL_MS = 3_600_000
const MAX_REMEMBERED_REFUSALS = 1_000
/** Servers that one process tells of one link: a name costs nothing, and what is queued for one that nobody has stays. */
export const MAX_TOLD_OF_LINK = 50

export type MailedEdusDeps = InviteDeps & {
  readonly acceptInvite: AcceptInvite
  readonly exchange: LinkInvites['exchange']
}

export function mailedEdus(deps: MailedEdusDeps): Readonly<Record<string, EduHandler>> {
  const refusal = createRefusals(deps)
  return {
    [MAILED_INVITE]: (origin, content) => takeMailedInvite(deps, origin, content),
    [MAILED_EXCHANGE]: (origin, content) =>
      ask(deps, origin, content, {
        work: (room, event) => deps.exchange(origin, room.roomId, event, true),
        refused: (room, event) => refusal(origin, room, event),
      }),
    [MAILED_LEAVE]: (origin, content) =>
      ask(deps, origin, content, {
        async work(room, event) {
          const id = content['event_id']
          if (typeof id === 'string')
            await acceptMembership(deps, room, 'leave', origin, id as EventId, event)
        },
        refused: () => undefined,
      }),
  }
}

/** What tells a server that its link is not good. */
function createRefusals({
  mail,
  clock,
}: InviteDeps): (origin: ServerName, room: Room, event: JsonObject) => EduEffect {
  const told = createLru<string, ReadonlyMap<ServerName, number>>(MAX_REMEMBERED_REFUSALS)
  return (origin, { roomId, snapshot }, event) => {
    const token = parseExchange(event)?.token
    if (mail === undefined || token === undefined || mail.isFull(origin)) return undefined
    // Who never had a link of the room is told nothing, or anybody could have answers queued here.
    if (snapshot?.state.has(stateKey('m.room.third_party_invite', token)) !== true) return undefined
    const key = `${roomId} ${token}`
    const before = told.get(key)
    const at = before?.get(origin)
    const now = clock.now()
    if (at === undefined ? (before?.size ?? 0) >= MAX_TOLD_OF_LINK : now - at < REFUSAL_INTERVAL_MS)
      return undefined
    told.set(key, new Map([...(before ?? []), [origin, now]]))
    const edu = { edu_type: EXCHANGE_REFUSED, content: { room_id: roomId, token } }
    return { writes: () => mail.queueDurable(origin, edu) }
  }
}

type Asked = {
  readonly work: (room: Room, event: JsonObject) => Promise<void>
  /** What is committed with the EDU where that is refused. */
  readonly refused: (room: Room, event: JsonObject) => EduEffect
}

/** Does what is asked of a room of this node; that is committed by itself, and the same again changes nothing. */
async function ask(
  deps: MailedEdusDeps,
  origin: ServerName,
  { room_id: given, event }: JsonObject,
  { work, refused }: Asked,
): Promise<EduEffect> {
  const roomId = typeof given === 'string' ? parseRoomId(given) : undefined
  if (roomId === undefined || event === undefined || !isJsonObject(event)) return undefined
  if (utf8Length(canonicalJson(event)) > MAX_PDU_BYTES) return undefined
  const room = await deps.registry.get(roomId)
  if (room?.snapshot === undefined || !isHere(room, deps.ownName)) return undefined
  try {
    const isAllowed = await aclOf((id) => deps.events.get(id), room.snapshot)
    if (!isAllowed(origin)) throw new RoomError('M_FORBIDDEN', 'the server ACL of the room denies the server')
    await work(room, event)
    return undefined
  } catch (error) {
    if (!(error instanceof RoomError)) throw error
    deps.log.log('info', 'what was asked by mail is refused', { roomId, origin, error: error.message })
    return refused(room, event)
  }
}
