// POST /_matrix/client/v3/join/{roomIdOrAlias} https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { find, idOrAlias, viaQuery } from './id-or-alias.ts'
import { joinBody, joinRoom } from './join-common.ts'

export const join: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/join/{roomIdOrAlias}',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'lookup',
  pathSchema: idOrAlias,
  querySchema: viaQuery,
  bodySchema: joinBody,
  handler: async ({ engine, service, requester, path, query, body, signal }) =>
    joinRoom(
      engine,
      requester,
      await find({ engine, service, signal }, path.roomIdOrAlias, query),
      body,
      signal,
    ),
})
