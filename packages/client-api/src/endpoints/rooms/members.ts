// GET /_matrix/client/v3/rooms/{roomId}/members https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers
import { isJsonObject, ownValue } from '@plexus/core'
import type { JsonObject } from '@plexus/core'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { inRoom } from './common.ts'

const membership = v.picklist(['join', 'invite', 'knock', 'leave', 'ban'])

export const members: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/members',
  auth: 'user',
  pathSchema: inRoom,
  querySchema: v.object({
    at: v.optional(v.string()),
    membership: v.optional(membership),
    not_membership: v.optional(membership),
  }),
  handler: async ({ engine, requester, path, query }) => {
    const events = await engine.reader.members(requester, path.roomId, query.at)
    const { membership: wanted, not_membership: unwanted } = query
    const chosen = (event: JsonObject): boolean => {
      if (wanted === undefined && unwanted === undefined) return true
      const content = event['content']
      const is = isJsonObject(content) ? ownValue(content, 'membership') : undefined
      return (wanted !== undefined && is === wanted) || (unwanted !== undefined && is !== unwanted)
    }
    return { chunk: events.filter(chosen) }
  },
})
