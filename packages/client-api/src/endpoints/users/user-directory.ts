// POST /_matrix/client/v3/user_directory/search https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3user_directorysearch
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

const MAX_TERM = 255
const MAX_RESULTS = 50

export const userDirectory: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/user_directory/search',
  auth: 'user',
  rateLimit: 'lookup',
  bodySchema: v.object({
    search_term: v.pipe(v.string(), v.maxLength(MAX_TERM)),
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 10),
  }),
  async handler({ engine, requester, body }) {
    const limit = Math.min(body.limit, MAX_RESULTS)
    const { results, limited } = await engine.users.directory.search(
      requester.userId,
      body.search_term,
      limit,
    )
    return { results, limited }
  },
})
