// GET /_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device, proposal 3814 "Rehydrating a device"
import { DEHYDRATED_DEVICE } from './dehydrated-common.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const dehydratedDevice: Endpoint = endpoint({
  method: 'GET',
  path: DEHYDRATED_DEVICE,
  auth: 'user',
  async handler({ engine, requester }) {
    const { deviceId, data } = await engine.users.dehydrated.get(requester.userId)
    return { device_id: deviceId, device_data: data }
  },
})
