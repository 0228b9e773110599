// POST /_matrix/client/v3/user/{userId}/filter https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter
import { parseSyncFilter } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { badJson } from '../../matrix-error.ts'
import { jsonObject, userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const createFilter: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/user/{userId}/filter',
  auth: 'user',
  pathSchema: v.object({ userId }),
  bodySchema: jsonObject,
  async handler({ engine, requester, path, body }) {
    checkSelf(requester, path.userId)
    if (parseSyncFilter(body) === undefined) throw badJson('this is not a filter')
    return { filter_id: await engine.users.filters.create(path.userId, body) }
  },
})
