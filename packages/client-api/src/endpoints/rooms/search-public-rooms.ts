// POST /_matrix/client/v3/publicRooms https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3publicrooms
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { serverName } from '../../schemas.ts'
import { listRooms } from './public-rooms-common.ts'

export const searchPublicRooms: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/publicRooms',
  auth: 'user',
  rateLimit: 'lookup',
  querySchema: v.object({ server: v.optional(serverName) }),
  bodySchema: v.object({
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
    since: v.optional(v.string()),
    filter: v.optional(
      v.object({
        generic_search_term: v.optional(v.nullable(v.string())),
        room_types: v.optional(v.nullable(v.array(v.nullable(v.string())))),
      }),
      {},
    ),
    include_all_networks: v.optional(v.boolean(), false),
    third_party_instance_id: v.optional(v.nullable(v.string())),
  }),
  handler: ({ engine, query, body, signal }) => {
    const { generic_search_term: term, room_types: types } = body.filter
    const { include_all_networks: everyNetwork } = body
    const network = body.third_party_instance_id ?? undefined
    if (everyNetwork && network !== undefined)
      throw invalidParam('third_party_instance_id is for one network, include_all_networks for all')
    const { limit, since } = body
    return listRooms(
      engine,
      query.server,
      { limit, since, term: term || undefined, types: types ?? undefined, network, everyNetwork },
      signal,
    )
  },
})
