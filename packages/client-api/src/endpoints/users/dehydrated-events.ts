// GET /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events, proposal 3814 "Rehydrating a device"
import * as v from 'valibot'
import { batchToken, DEHYDRATED_DEVICE } from './dehydrated-common.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const dehydratedEvents: Endpoint = endpoint({
  method: 'GET',
  path: `${DEHYDRATED_DEVICE}/{deviceId}/events`,
  auth: 'user',
  pathSchema: v.object({ deviceId: v.string() }),
  querySchema: v.object({ from: batchToken }),
  async handler({ engine, requester, path, query }) {
    const { dehydrated } = engine.users
    const { events, position, done } = await dehydrated.events(requester.userId, path.deviceId, query.from)
    return { events, ...(done ? {} : { next_batch: String(position) }) }
  },
})
