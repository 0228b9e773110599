// POST /_matrix/client/v3/pushers/set https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset
import type { JsonObject } from '@plexus/core'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject } from '../../schemas.ts'
import { requireDevice } from './common.ts'

const deletion = v.object({ app_id: v.string(), pushkey: v.string(), kind: v.null() })
const pusher = v.object({
  app_id: v.string(),
  pushkey: v.string(),
  kind: v.string(),
  app_display_name: v.string(),
  device_display_name: v.string(),
  lang: v.string(),
  profile_tag: v.optional(v.string()),
  data: jsonObject,
  append: v.optional(v.boolean()),
})

export const setPusher: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/pushers/set',
  auth: 'user',
  bodySchema: v.union([deletion, pusher]),
  async handler({ engine, requester, body }) {
    requireDevice(requester)
    await engine.users.pushers.set(requester, body as JsonObject)
    return {}
  },
})
