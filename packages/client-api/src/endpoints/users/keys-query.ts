// POST /_matrix/client/v3/keys/query https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { recordOf, remoteTimeout } from './common.ts'

export const keysQuery: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/keys/query',
  auth: 'user',
  rateLimit: 'lookup',
  bodySchema: v.object({ timeout: remoteTimeout, device_keys: recordOf(v.array(v.string())) }),
  async handler({ engine, requester, body, signal }) {
    const options = { timeoutMs: body.timeout, signal }
    return { ...(await engine.users.keys.query(requester.userId, body.device_keys, options)) }
  },
})
