/** A membership that one user gives another. */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import { memberKey } from '@plexus/core'
import type { Membership } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden } from '../../matrix-error.ts'
import { userId } from '../../schemas.ts'
import type { ApiEngine } from '../../services.ts'
import { inRoom, reasonOf } from './common.ts'

const target = v.object({ user_id: userId, reason: v.optional(v.string()) })

/** Kick, ban and unban: a membership that one user gives another. */
export function memberEndpoint(
  verb: string,
  membership: Membership,
  from?: ReadonlySet<Membership>,
): Endpoint {
  return endpoint({
    method: 'POST',
    path: `/_matrix/client/v3/rooms/{roomId}/${verb}`,
    auth: 'user',
    whileSuspended: false,
    rateLimit: 'message',
    pathSchema: inRoom,
    bodySchema: target,
    handler: async ({ engine, requester, path, body }) => {
      const is = await membershipOf(engine, path.roomId, body.user_id)
      if (from?.has(is) === false) throw forbidden(`cannot ${verb}: the user's membership is ${is}`)
      await sendMember(engine, requester.userId, path.roomId, body.user_id, membership, reasonOf(body.reason))
      return {}
    },
  })
}

async function membershipOf(engine: ApiEngine, roomId: RoomId, userId: UserId): Promise<Membership> {
  const id = (await engine.rooms.snapshot(roomId))?.state.get(memberKey(userId))
  const membership = id === undefined ? undefined : (await engine.rooms.event(id))?.pdu.content['membership']
  return (['join', 'invite', 'knock', 'ban'] as const).find((one) => one === membership) ?? 'leave'
}

export async function sendMember(
  engine: ApiEngine,
  sender: UserId,
  roomId: RoomId,
  target: UserId,
  membership: Membership,
  content: JsonObject,
): Promise<void> {
  await engine.rooms.send(roomId, {
    type: 'm.room.member',
    sender,
    stateKey: target,
    content: { ...content, membership },
  })
}
