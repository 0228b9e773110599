/** The durable EDUs by which nodes that are never awake together invite each other. DESIGN section 8 "First contact" */
import type { JsonObject, ServerName } from '@plexus/core'
import { canonicalJson, isJsonObject, MAX_PDU_BYTES, parseRoomId, utf8Length } from '@plexus/core'
import type { EduEffect, EduHandler } from '../outbox-types.ts'
import type { AcceptInvite } from './accept-invite.ts'
import { deniedByAcl } from './acl.ts'
import { takeMailedInvite } from './invite-packages.ts'
import type { LinkInvites } from './link-invites.ts'
import { MAILED_INVITE } from './mailed-invites.ts'
import type { RemoteDeps } from './remote-join.ts'
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
    [MAILED_EXCHANGE]: (origin, content) => takeExchange(deps, origin, content),
  }
}

/** What the invite does is committed by itself; the same exchange again changes nothing. */
async function takeExchange(
  deps: MailedEdusDeps,
  origin: ServerName,
  { room_id: room, event }: JsonObject,
): Promise<EduEffect> {
  const roomId = typeof room === 'string' ? parseRoomId(room) : undefined
  if (roomId === undefined || event === undefined || !isJsonObject(event)) return undefined
  if (utf8Length(canonicalJson(event)) > MAX_PDU_BYTES) return undefined
  try {
    const snapshot = (await deps.registry.get(roomId))?.snapshot
    if (snapshot === undefined) return undefined
    const denied = await deniedByAcl(deps, origin, snapshot)
    if (denied !== undefined) throw new RoomError('M_FORBIDDEN', denied)
    await deps.exchange(origin, roomId, event)
  } catch (error) {
    if (!(error instanceof RoomError)) throw error
    deps.log.log('info', 'a link that was opened by mail is refused', {
      roomId,
      origin,
      error: error.message,
    })
  }
  return undefined
}
