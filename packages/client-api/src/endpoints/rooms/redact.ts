// PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid
// POST /_matrix/client/v3/rooms/{roomId}/redact/{eventId} https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint, Method } from '../../endpoint.ts'
import { accountSuspended } from '../../matrix-error.ts'
import { eventId, roomId, shortText } from '../../schemas.ts'
import { reasonOf, withReason } from './common.ts'
import { sendOnce } from './send-common.ts'

const declare = (method: Method, path: string): Endpoint =>
  endpoint({
    method,
    path,
    auth: 'user',
    rateLimit: 'message',
    pathSchema: v.object({ roomId, eventId, txnId: v.optional(shortText) }),
    bodySchema: withReason,
    async handler({ engine, requester, path, body }) {
      const { suspended } = await engine.users.moderation.restrictionsOf(requester.userId)
      const sender = suspended === true ? (await engine.rooms.event(path.eventId))?.pdu.sender : undefined
      // Own events alone. spec: client-server-api "Account suspension"
      if (suspended === true && sender !== requester.userId) throw accountSuspended()
      const content = { ...reasonOf(body.reason), redacts: path.eventId }
      return sendOnce(engine, requester, path.roomId, path.txnId, { type: 'm.room.redaction', content })
    },
  })

export const redact: Endpoint = declare('PUT', '/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}')
/** Of clients that have no transaction identifiers. */
export const postRedact: Endpoint = declare('POST', '/_matrix/client/v3/rooms/{roomId}/redact/{eventId}')
