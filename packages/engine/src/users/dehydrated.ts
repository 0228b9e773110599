/** Dehydrated devices. source: proposal 3814 "Dehydrated Devices with SSSS" */
import type { UserId } from '@plexus/core'
import type { UsersContext } from './deps.ts'
import type { DeviceStore } from './device-store.ts'
import type { LocalKeys } from './local-keys.ts'
import { jsonSize } from './read.ts'
import { dehydratedDevices } from './tables.ts'
import { UserError } from './types.ts'
import type { DehydratedDevice, DehydratedDevices, ToDevice } from './types.ts'

/** JSON text of the data of a device, in UTF-16 code units. */
const MAX_DATA_LENGTH = 65_536
/** Messages of one answer. */
const PAGE_LENGTH = 100

type Parts = {
  readonly devices: Pick<DeviceStore, 'replace' | 'delete'>
  readonly local: Pick<LocalKeys, 'initial'>
  readonly toDevice: Pick<ToDevice, 'inbox'>
}

export function createDehydratedDevices(
  { store, committer, mutex }: UsersContext,
  { devices, local, toDevice }: Parts,
): DehydratedDevices {
  const find = (userId: UserId): Promise<DehydratedDevice | undefined> =>
    dehydratedDevices.get(store, [userId])
  const get = async (userId: UserId): Promise<DehydratedDevice> => {
    const found = await find(userId)
    if (found === undefined) throw new UserError('M_NOT_FOUND', 'there is no dehydrated device')
    return found
  }

  return {
    get,
    put: (userId, { deviceId, data, displayName, ...keys }) =>
      mutex.run(`dehydrated ${userId}`, async () => {
        if (jsonSize(data) > MAX_DATA_LENGTH)
          throw new UserError('M_TOO_LARGE', `device_data has at most ${MAX_DATA_LENGTH} characters`)
        const keyWrites = local.initial({ userId, deviceId }, keys)
        await devices.replace(
          (await find(userId))?.deviceId,
          {
            userId,
            deviceId,
            keys: keys.deviceKeys,
            ...(displayName === undefined ? {} : { displayName }),
          },
          (position) => [...keyWrites(position), dehydratedDevices.put([userId], { deviceId, data })],
        )
      }),
    delete: (userId) =>
      mutex.run(`dehydrated ${userId}`, async () => {
        const { deviceId } = await get(userId)
        await devices.delete(userId, [deviceId])
        return deviceId
      }),
    async events(userId, deviceId, from) {
      if ((await find(userId))?.deviceId !== deviceId)
        throw new UserError('M_FORBIDDEN', 'this is not the dehydrated device')
      const to = committer.committed
      const page = await toDevice.inbox({ userId, deviceId }, from, to, PAGE_LENGTH)
      return { ...page, done: page.position >= to }
    },
  }
}
