// PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { eventContent, roomId, shortText, timestampQuery } from '../../schemas.ts'
import { sendOnce, timestampOf } from './send-common.ts'

export const send: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: v.object({ roomId, eventType: shortText, txnId: shortText }),
  querySchema: timestampQuery,
  bodySchema: eventContent,
  handler: ({ engine, service, requester, path, query, body }) =>
    sendOnce(engine, requester, path.roomId, {
      type: path.eventType,
      content: body,
      txnId: path.txnId,
      ...timestampOf(service, query),
    }),
})
