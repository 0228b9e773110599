// GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { queryInteger } from '../../schemas.ts'
import { direction, inRoom } from './common.ts'

export const timestampToEvent: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/rooms/{roomId}/timestamp_to_event',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: inRoom,
  querySchema: v.object({ ts: queryInteger(0, Number.MAX_SAFE_INTEGER), dir: direction }),
  handler: async ({ engine, requester, path, query, signal }) => {
    const { ts, dir: direction } = query
    const at = { roomId: path.roomId, ts, direction, signal }
    const { id, pdu } = await engine.reader.atTime(requester, at)
    return { event_id: id, origin_server_ts: pdu.origin_server_ts }
  },
})
