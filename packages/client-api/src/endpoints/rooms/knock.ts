// POST /_matrix/client/v3/knock/{roomIdOrAlias} https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3knockroomidoralias
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { reasonOf, withReason } from './common.ts'
import { find, idOrAlias, viaQuery } from './id-or-alias.ts'

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
    const { roomId, via } = await find({ engine, service, signal }, path.roomIdOrAlias, query)
    const profile = await engine.users.profiles.memberContent(requester.userId)
    const content = { ...profile, ...reasonOf(body.reason) }
    await engine.rooms.knock(requester.userId, roomId, { via, content, signal })
    return { room_id: roomId }
  },
})
