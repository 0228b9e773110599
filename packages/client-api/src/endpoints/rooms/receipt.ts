// POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId} https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreceiptreceipttypeeventid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { eventId, roomId } from '../../schemas.ts'
import { MARKERS, mark } from './ephemeral-common.ts'

export const receipt: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}',
  auth: 'user',
  pathSchema: v.object({ roomId, receiptType: v.picklist(MARKERS), eventId }),
  bodySchema: v.object({ thread_id: v.optional(v.unknown()) }),
  handler: async ({ engine, requester, path, body }) => {
    const thread = body.thread_id
    if (thread !== undefined && (typeof thread !== 'string' || thread === '')) {
      throw invalidParam('thread_id must be a non-empty string')
    }
    if (thread !== undefined && path.receiptType === 'm.fully_read') {
      throw invalidParam('m.fully_read has no threads')
    }
    if (thread !== undefined && !(await engine.reader.isInThread(path.eventId, thread))) {
      throw invalidParam('the event is not in this thread')
    }
    await mark(engine, requester, path.roomId, path.receiptType, path.eventId, thread)
    return {}
  },
})
