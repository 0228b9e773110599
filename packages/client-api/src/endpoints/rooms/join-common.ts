/** What both ways of joining share. */
import type { JsonObject } from '@plexus/core'
import * as v from 'valibot'
import { MatrixError } from '../../matrix-error.ts'
import { jsonObject } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { reasonOf } from './common.ts'
import type { Where } from './id-or-alias.ts'

/** What else stands in it becomes content of the member event, as it could be set by `PUT /state` afterwards. */
type JoinBody = JsonObject & {
  readonly reason?: string | undefined
  readonly third_party_signed?: JsonObject | undefined
}
export const joinBody: v.GenericSchema<unknown, JoinBody> = v.intersect([
  jsonObject,
  v.object({ reason: v.optional(v.string()), third_party_signed: v.optional(jsonObject) }),
])
/** What the server says of a join. */
const RESERVED: ReadonlySet<string> = new Set(['membership', 'join_authorised_via_users_server'])

export async function joinRoom(
  engine: ApiEngine,
  { userId }: Requester,
  where: Where,
  body: JoinBody,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { roomId } = where
  // Joining again changes nothing.
  if ((await engine.rooms.membership(userId, roomId))?.membership === 'join') return { room_id: roomId }
  if (body.third_party_signed !== undefined) {
    throw new MatrixError(
      400,
      'M_UNKNOWN',
      'third_party_signed is not taken here; open the invite link instead',
    )
  }
  const content = {
    ...Object.fromEntries(Object.entries(body).filter(([key]) => !RESERVED.has(key))),
    ...(await engine.users.profiles.memberContent(userId)),
    ...reasonOf(body.reason),
  }
  await engine.rooms.join(userId, roomId, { via: where.via, content, signal })
  return { room_id: roomId }
}
