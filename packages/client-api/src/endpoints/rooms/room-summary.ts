// GET /_matrix/client/v1/room_summary/{roomIdOrAlias} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias
import { roomSummary } from '@plexus/engine'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { find, idOrAlias, viaQuery } from './id-or-alias.ts'

export const summary: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/room_summary/{roomIdOrAlias}',
  auth: 'optional',
  rateLimit: 'lookup',
  pathSchema: idOrAlias,
  querySchema: viaQuery,
  handler: async ({ engine, service, requester, path, query, signal }) => {
    const { roomId, via } = await find({ engine, service, signal }, path.roomIdOrAlias, query)
    const room = await engine.roomDirectory.describe(roomId, requester?.userId, via, signal)
    if (room === undefined) throw notFound('this node does not know such a room, or it is not open')
    const row = requester === undefined ? undefined : await engine.rooms.membership(requester.userId, roomId)
    return { ...roomSummary(room), ...(row === undefined ? {} : { membership: row.membership }) }
  },
})
