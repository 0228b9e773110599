// POST /_matrix/client/v3/keys/signatures/upload https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject } from '../../schemas.ts'
import { recordOf } from './common.ts'

export const signaturesUpload: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/keys/signatures/upload',
  auth: 'user',
  bodySchema: recordOf(jsonObject),
  async handler({ engine, requester, body }) {
    return { failures: await engine.users.keys.uploadSignatures(requester.userId, body) }
  },
})
