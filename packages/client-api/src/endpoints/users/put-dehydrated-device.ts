// PUT /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device, proposal 3814 "Dehydrating a device"
import type { JsonObject } from '@plexus/core'
import * as v from 'valibot'
import { DEHYDRATED_DEVICE } from './dehydrated-common.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject } from '../../schemas.ts'

export const putDehydratedDevice: Endpoint = endpoint({
  method: 'PUT',
  path: DEHYDRATED_DEVICE,
  auth: 'user',
  bodySchema: v.object({
    device_id: v.string(),
    device_data: v.looseObject({ algorithm: v.string() }),
    initial_device_display_name: v.optional(v.string()),
    device_keys: jsonObject,
    one_time_keys: v.optional(jsonObject),
    fallback_keys: v.optional(jsonObject),
  }),
  async handler({ engine, requester, body }) {
    await engine.users.dehydrated.put(requester.userId, {
      deviceId: body.device_id,
      data: body.device_data as JsonObject,
      deviceKeys: body.device_keys,
      ...(body.initial_device_display_name === undefined
        ? {}
        : { displayName: body.initial_device_display_name }),
      ...(body.one_time_keys === undefined ? {} : { oneTimeKeys: body.one_time_keys }),
      ...(body.fallback_keys === undefined ? {} : { fallbackKeys: body.fallback_keys }),
    })
    return { device_id: body.device_id }
  },
})
