// POST /_matrix/client/v3/keys/signatures/upload https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject } from '../../schemas.ts'

export const signaturesUpload: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/keys/signatures/upload',
  auth: 'user',
  bodySchema: v.record(v.string(), jsonObject),
  async handler({ engine, requester, body }) {
    return { failures: await engine.users.keys.uploadSignatures(requester.userId, body) }
  },
})
