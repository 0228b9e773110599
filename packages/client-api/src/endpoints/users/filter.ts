// GET /_matrix/client/v3/user/{userId}/filter/{filterId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridfilterfilterid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const filter: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/user/{userId}/filter/{filterId}',
  auth: 'user',
  pathSchema: v.object({ userId, filterId: v.string() }),
  async handler({ engine, requester, path }) {
    checkSelf(requester, path.userId)
    const filter = await engine.users.filters.get(path.userId, path.filterId)
    if (filter === undefined) throw notFound('there is no such filter')
    return filter
  },
})
