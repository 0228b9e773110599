/** The durable EDUs by which nodes that are never awake together invite each other. DESIGN section 8 "First contact" */
import type { EventId, JsonObject, ServerName } from '@plexus/core'
import { canonicalJson, isJsonObject, MAX_PDU_BYTES, parseRoomId, utf8Length } from '@plexus/core'
import type { EduEffect, EduHandler } from '../outbox-types.ts'
import type { AcceptInvite } from './accept-invite.ts'
import { aclOf } from './acl.ts'
import { takeMailedInvite } from './invite-packages.ts'
import type { LinkInvites } from './link-invites.ts'
import { MAILED_INVITE, MAILED_LEAVE } from './mailed-invites.ts'
import { isHere, type RemoteDeps } from './remote-join.ts'
import { acceptMembership } from './serve-membership.ts'
import { RoomError } from './types.ts'

/** `{room_id, event}`: the body of PUT /exchange_third_party_invite, for a node that is away. */
export const MAILED_EXCHANGE = 'plexus.exchange_third_party_invite'

export type MailedEdusDeps = RemoteDeps & {
  readonly acceptInvite: AcceptInvite
  readonly exchange: LinkInvites['exchange']
}

export function mailedEdus(deps: MailedEdusDeps): Readonly<Record<string, EduHandler>> {
  return {
    [MAILED_INVITE]: (origin, content) => takeMailedInvite(deps, origin, content),
    [MAILED_EXCHANGE]: (origin, content) =>
      ask(deps, origin, content, (room, event) => deps.exchange(origin, room.roomId, event, true)),
    [MAILED_LEAVE]: (origin, content) =>
      ask(deps, origin, content, async (room, event) => {
        const id = content['event_id']
        if (typeof id === 'string') await acceptMembership(deps, room, 'leave', origin, id as EventId, event)
      }),
  }
}

type Room = NonNullable<Awaited<ReturnType<RemoteDeps['registry']['get']>>>

/** Does what is asked of a room of this node; that is committed by itself, and the same again changes nothing. */
async function ask(
  deps: MailedEdusDeps,
  origin: ServerName,
  { room_id: given, event }: JsonObject,
  work: (room: Room, event: JsonObject) => Promise<unknown>,
): Promise<EduEffect> {
  const roomId = typeof given === 'string' ? parseRoomId(given) : undefined
  if (roomId === undefined || event === undefined || !isJsonObject(event)) return undefined
  if (utf8Length(canonicalJson(event)) > MAX_PDU_BYTES) return undefined
  try {
    const room = await deps.registry.get(roomId)
    if (room?.snapshot === undefined || !isHere(room, deps.ownName)) return undefined
    const isAllowed = await aclOf((id) => deps.events.get(id), room.snapshot)
    if (!isAllowed(origin)) throw new RoomError('M_FORBIDDEN', 'the server ACL of the room denies the server')
    await work(room, event)
  } catch (error) {
    if (!(error instanceof RoomError)) throw error
    deps.log.log('info', 'what was asked by mail is refused', { roomId, origin, error: error.message })
  }
  return undefined
}
