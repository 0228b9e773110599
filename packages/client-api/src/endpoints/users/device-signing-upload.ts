// POST /_matrix/client/v3/keys/device_signing/upload https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject } from '../../schemas.ts'
import { auth, challengeUser } from './common.ts'

export const deviceSigningUpload: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/keys/device_signing/upload',
  auth: 'user',
  rateLimit: 'login',
  bodySchema: v.object({
    auth,
    master_key: v.optional(jsonObject),
    self_signing_key: v.optional(jsonObject),
    user_signing_key: v.optional(jsonObject),
  }),
  async handler({ engine, service, request, requester, body }) {
    const keys = {
      ...(body.master_key === undefined ? {} : { master: body.master_key }),
      ...(body.self_signing_key === undefined ? {} : { selfSigning: body.self_signing_key }),
      ...(body.user_signing_key === undefined ? {} : { userSigning: body.user_signing_key }),
    }
    if (await engine.users.keys.crossSigningNeedsAuth(requester.userId, keys)) {
      const more = await challengeUser({ engine, service, request, auth: body.auth }, requester.userId)
      if (more !== undefined) return more
    }
    await engine.users.keys.uploadCrossSigning(requester.userId, keys)
    return {}
  },
})
