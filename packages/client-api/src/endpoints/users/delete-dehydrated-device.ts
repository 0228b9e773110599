// DELETE /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device, proposal 3814 "Deleting a dehydrated device"
import { DEHYDRATED_DEVICE } from './dehydrated-common.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const deleteDehydratedDevice: Endpoint = endpoint({
  method: 'DELETE',
  path: DEHYDRATED_DEVICE,
  auth: 'user',
  async handler({ engine, requester }) {
    return { device_id: await engine.users.dehydrated.delete(requester.userId) }
  },
})
