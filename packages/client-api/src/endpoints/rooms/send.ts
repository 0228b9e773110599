// PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid
// POST /_matrix/client/v3/rooms/{roomId}/send/{eventType} https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint, Method } from '../../endpoint.ts'
import { eventContent, roomId, shortText, timestampQuery } from '../../schemas.ts'
import { sendOnce, timestampOf } from './send-common.ts'

const declare = (method: Method, path: string): Endpoint =>
  endpoint({
    method,
    path,
    auth: 'user',
    whileSuspended: false,
    rateLimit: 'message',
    pathSchema: v.object({ roomId, eventType: shortText, txnId: v.optional(shortText) }),
    querySchema: timestampQuery,
    bodySchema: eventContent,
    handler: ({ engine, service, requester, path, query, body }) =>
      sendOnce(engine, requester, path.roomId, path.txnId, {
        type: path.eventType,
        content: body,
        ...timestampOf(service, query),
      }),
  })

export const send: Endpoint = declare('PUT', '/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}')
/** Of clients that have no transaction identifiers. */
export const postSend: Endpoint = declare('POST', '/_matrix/client/v3/rooms/{roomId}/send/{eventType}')
