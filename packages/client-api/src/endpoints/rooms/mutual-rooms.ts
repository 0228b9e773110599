// GET /_matrix/client/v1/mutual_rooms https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms
import type { RoomId, UserId } from '@plexus/core'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { userId } from '../../schemas.ts'

/** Rooms shared with somebody in one answer. */
export const MAX_MUTUAL_PAGE = 100

/** spec: appendices.md "Historical User IDs" */
const compliantUserId: v.GenericSchema<unknown, UserId> = v.pipe(
  userId,
  v.check((id) => /^@[!-9;-~]+:/.test(id), 'not a compliant user id'),
)

export const mutualRooms: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/mutual_rooms',
  auth: 'user',
  querySchema: v.object({ user_id: compliantUserId, from: v.optional(v.string()) }),
  handler: async ({ engine, requester, query }) => {
    if (query.user_id === requester.userId) throw invalidParam('these are your own rooms')
    const start = query.from === undefined ? 0 : Number(/^m([0-9]{1,6})$/.exec(query.from)?.[1] ?? Number.NaN)
    if (Number.isNaN(start)) throw invalidParam('from is not a token of this server')
    const shared: RoomId[] = []
    for (const { roomId, membership } of await engine.rooms.memberships(requester.userId)) {
      if (membership !== 'join') continue
      const snapshot = await engine.rooms.snapshot(roomId)
      if (snapshot?.joinedMembers.includes(query.user_id) === true) shared.push(roomId)
    }
    const end = start + MAX_MUTUAL_PAGE
    return {
      joined: shared.slice(start, end),
      count: shared.length,
      ...(end < shared.length ? { next_batch: `m${end}` } : {}),
    }
  },
})
