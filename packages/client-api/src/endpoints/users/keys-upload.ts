// POST /_matrix/client/v3/keys/upload https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject } from '../../schemas.ts'
import { requireDevice } from './common.ts'

export const keysUpload: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/keys/upload',
  auth: 'user',
  bodySchema: v.object({
    device_keys: v.optional(jsonObject),
    one_time_keys: v.optional(jsonObject),
    fallback_keys: v.optional(jsonObject),
  }),
  async handler({ engine, requester, body }) {
    requireDevice(requester)
    const { oneTimeKeys } = await engine.users.keys.upload(requester, {
      ...(body.device_keys === undefined ? {} : { deviceKeys: body.device_keys }),
      ...(body.one_time_keys === undefined ? {} : { oneTimeKeys: body.one_time_keys }),
      ...(body.fallback_keys === undefined ? {} : { fallbackKeys: body.fallback_keys }),
    })
    return { one_time_key_counts: oneTimeKeys }
  },
})
