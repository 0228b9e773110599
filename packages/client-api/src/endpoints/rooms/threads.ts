// GET /_matrix/client/v1/rooms/{roomId}/threads https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { queryInteger } from '../../schemas.ts'
import { inRoom } from './common.ts'

/** Threads of one page. */
export const MAX_THREADS_PAGE = 50
const DEFAULT_THREADS_PAGE = '20'

export const threads: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/threads',
  auth: 'user',
  pathSchema: inRoom,
  querySchema: v.object({
    include: v.optional(v.picklist(['all', 'participated']), 'all'),
    limit: v.optional(queryInteger(1, MAX_THREADS_PAGE), DEFAULT_THREADS_PAGE),
    from: v.optional(v.string()),
  }),
  handler: async ({ engine, requester, path, query }) => {
    const { chunk, next } = await engine.reader.threads(requester, {
      roomId: path.roomId,
      participated: query.include === 'participated',
      ...(query.from === undefined ? {} : { from: query.from }),
      limit: query.limit,
    })
    return { chunk, ...(next === undefined ? {} : { next_batch: next }) }
  },
})
