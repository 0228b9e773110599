// POST /_matrix/client/v3/knock/{roomIdOrAlias} https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3knockroomidoralias
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden } from '../../matrix-error.ts'
import { reasonOf, withReason } from './common.ts'
import { find, idOrAlias, viaQuery } from './id-or-alias.ts'
import { sendMember } from './member-endpoint.ts'

export const knock: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/knock/{roomIdOrAlias}',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'lookup',
  pathSchema: idOrAlias,
  querySchema: viaQuery,
  bodySchema: withReason,
  handler: async ({ engine, service, requester, path, query, body, signal }) => {
    const { roomId } = await find({ engine, service, signal }, path.roomIdOrAlias, query)
    const snapshot = await engine.rooms.snapshot(roomId)
    if (snapshot === undefined || engine.rooms.localMembers(snapshot).length === 0) {
      throw forbidden('this node can only knock on rooms that it has a member in')
    }
    const profile = await engine.users.profiles.memberContent(requester.userId)
    await sendMember(engine, requester.userId, roomId, requester.userId, 'knock', {
      ...profile,
      ...reasonOf(body.reason),
    })
    return { room_id: roomId }
  },
})
