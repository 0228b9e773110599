// GET /_matrix/client/v3/keys/changes https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges
import { parseSyncToken } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'

/** Above every position that a token can name. */
const MAX_POSITION: number = 10 ** 15

export const keysChanges: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/keys/changes',
  auth: 'user',
  querySchema: v.object({ from: v.string(), to: v.optional(v.string()) }),
  async handler({ engine, requester, query }) {
    const from = parseSyncToken(query.from)
    const to = query.to === undefined ? undefined : parseSyncToken(query.to)
    if (from === undefined || (query.to !== undefined && to === undefined))
      throw invalidParam('not a sync token')
    return engine.users.deviceLists.changes(requester.userId, from.position, to?.position ?? MAX_POSITION)
  },
})
