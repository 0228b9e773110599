// GET /_matrix/client/v3/notifications https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications
import { parseNotificationToken } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { queryInteger } from '../../schemas.ts'

/** Notifications of one page. */
export const MAX_NOTIFICATIONS_PAGE = 100
const DEFAULT_NOTIFICATIONS_PAGE = '20'

export const notifications: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/notifications',
  auth: 'user',
  querySchema: v.object({
    from: v.optional(v.string()),
    limit: v.optional(queryInteger(1, MAX_NOTIFICATIONS_PAGE), DEFAULT_NOTIFICATIONS_PAGE),
    only: v.optional(v.string()),
  }),
  async handler({ engine, requester, query: { from, limit, only } }) {
    const before = from === undefined ? undefined : parseNotificationToken(from)
    if (from !== undefined && before === undefined) throw invalidParam('from is not a token of this server')
    const request = { limit, highlights: only === 'highlight', ...(before === undefined ? {} : { before }) }
    const { list, next } = await engine.reader.notifications(requester, request)
    return { notifications: list, ...(next === undefined ? {} : { next_token: next }) }
  },
})
