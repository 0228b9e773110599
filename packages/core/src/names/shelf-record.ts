import { checkCanonical } from '../canonical-json.ts'
import { parseUserId, serverOf, type UserId } from '../ids.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts'
import { recordKind, type RecordHead, type RecordKind, type SignedRecord } from './record.ts'

/** Longest validity of a shelf, in milliseconds: as long as mail waits. DESIGN section 8 */
export const MAX_SHELF_MS: number = 30 * 24 * 3_600_000
/** Devices on one shelf. */
export const MAX_SHELF_DEVICES = 64
/** Length of the device list as JSON, in UTF-16 code units. */
export const MAX_SHELF_LENGTH = 32_768

/**
 * What relays show of a user's keys while the user's node is away. It is the word of the node, as its answer would be:
 * a device that it does not have is none of the user's.
 */
export type ShelfRecord = RecordHead & {
  readonly user: UserId
  /** The answer of `GET /user/devices/{userId}`. spec: server-server-api.md "Device Management" */
  readonly list: JsonObject
}

export type SignedShelf = SignedRecord<ShelfRecord>

export const shelfRecords: RecordKind<ShelfRecord> = recordKind<ShelfRecord>({
  domain: 'shelfRecord',
  maxValidityMs: MAX_SHELF_MS,
  fields: ({ user, list }) => ({ user, list }),
  parseFields(value, { name }) {
    const { list } = value
    const user = typeof value['user'] === 'string' ? parseUserId(value['user']) : undefined
    if (user === undefined || serverOf(user) !== name || list === undefined || !isJsonObject(list))
      return undefined
    if (checkCanonical(list) !== undefined || JSON.stringify(list).length > MAX_SHELF_LENGTH) return undefined
    const devices = devicesIn(list)
    const isList = devices !== undefined && new Set(devices).size === devices.length
    return isList && devices.length <= MAX_SHELF_DEVICES ? { user, list } : undefined
  },
  key: ({ user }) => `shelf/${user}`,
})

/** The ids of the devices on a shelf. */
export function shelfDevices({ list }: ShelfRecord): readonly string[] {
  return devicesIn(list) ?? []
}

function devicesIn(list: JsonObject): readonly string[] | undefined {
  const { devices } = list
  if (!Array.isArray(devices)) return undefined
  const ids = (devices as readonly JsonValue[]).map((device) =>
    isJsonObject(device) ? device['device_id'] : undefined,
  )
  return ids.every((id) => typeof id === 'string') ? ids : undefined
}
