// PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject, shortText } from '../../schemas.ts'
import { recordOf } from './common.ts'

export const sendToDevice: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/sendToDevice/{eventType}/{txnId}',
  auth: 'user',
  pathSchema: v.object({ eventType: shortText, txnId: shortText }),
  bodySchema: v.object({ messages: recordOf(jsonObject) }),
  async handler({ engine, requester, path, body }) {
    await engine.users.toDevice.send(requester, path.eventType, path.txnId, body.messages)
    return {}
  },
})
