// GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey
import { isJsonObject, stateKey as keyOf } from '@plexus/core'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { atStateKey } from './common.ts'

export const oneState: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}',
  aliases: ['/_matrix/client/v3/rooms/{roomId}/state/{eventType}'],
  auth: 'user',
  pathSchema: atStateKey,
  querySchema: v.object({ format: v.optional(v.picklist(['content', 'event']), 'content') }),
  handler: async ({ engine, requester, path, query }) => {
    const [event] = await engine.reader.state(requester, path.roomId, [keyOf(path.eventType, path.stateKey)])
    const content = event?.['content']
    if (event === undefined || !isJsonObject(content)) throw notFound('the room has no such state')
    return query.format === 'event' ? event : content
  },
})
