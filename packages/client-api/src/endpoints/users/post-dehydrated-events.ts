// POST /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events, an earlier text of proposal 3814
import * as v from 'valibot'
import { batchToken, DEHYDRATED_DEVICE } from './dehydrated-common.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

/** What clients use that were written before the GET: they go on until a batch is empty, and begin anew without a token. */
export const postDehydratedEvents: Endpoint = endpoint({
  method: 'POST',
  path: `${DEHYDRATED_DEVICE}/{deviceId}/events`,
  auth: 'user',
  pathSchema: v.object({ deviceId: v.string() }),
  bodySchema: v.object({ next_batch: batchToken }),
  async handler({ engine, requester, path, body }) {
    const { dehydrated } = engine.users
    const { events, position } = await dehydrated.events(requester.userId, path.deviceId, body.next_batch)
    return { events, next_batch: String(position) }
  },
})
