// POST /_matrix/client/v3/keys/claim https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { recordOf, remoteTimeout } from './common.ts'

export const keysClaim: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/keys/claim',
  auth: 'user',
  rateLimit: 'lookup',
  bodySchema: v.object({
    timeout: remoteTimeout,
    one_time_keys: recordOf(recordOf(v.string())),
  }),
  async handler({ engine, body }) {
    return { ...(await engine.users.keys.claim(body.one_time_keys, { timeoutMs: body.timeout })) }
  },
})
