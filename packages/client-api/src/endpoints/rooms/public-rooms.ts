// GET /_matrix/client/v3/publicRooms https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms
import { MAX_PUBLIC_PAGE } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { queryInteger, serverName } from '../../schemas.ts'
import { listRooms } from './public-rooms-common.ts'

export const publicRooms: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/publicRooms',
  auth: 'none',
  rateLimit: 'lookup',
  querySchema: v.object({
    limit: v.optional(queryInteger(0, MAX_PUBLIC_PAGE)),
    since: v.optional(v.string()),
    server: v.optional(serverName),
  }),
  handler: ({ engine, query: { server, ...page }, signal }) => listRooms(engine, server, page, signal),
})
