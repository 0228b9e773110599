// GET /_matrix/client/v3/publicRooms https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms
import { MAX_PUBLIC_PAGE } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError } from '../../matrix-error.ts'
import { queryInteger, serverName } from '../../schemas.ts'
import { listRooms } from './public-rooms-common.ts'

export const publicRooms: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/publicRooms',
  auth: 'optional',
  rateLimit: 'lookup',
  querySchema: v.object({
    limit: v.optional(queryInteger(0, MAX_PUBLIC_PAGE)),
    since: v.optional(v.string()),
    server: v.optional(serverName),
  }),
  handler: ({ engine, requester, query: { server, ...page }, signal }) => {
    // A stranger reads the list of this server, and has it ask no other.
    if (requester === undefined && server !== undefined && server !== engine.serverName)
      throw new MatrixError(
        401,
        'M_MISSING_TOKEN',
        'the rooms of another server are shown to users of this one',
      )
    return listRooms(engine, server, page, signal)
  },
})
