import { utf8ToBytes } from '@noble/hashes/utils.js'
import { checkCanonical } from '../canonical-json.ts'
import { parseUserId, serverOf, type UserId } from '../ids.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts'
import { recordKind, type RecordHead, type RecordKind, type SignedRecord } from './record.ts'

/** Longest validity of a shelf, in milliseconds: as long as mail waits. DESIGN section 8 */
export const MAX_SHELF_MS: number = 30 * 24 * 3_600_000
/** Devices on one shelf. */
export const MAX_SHELF_DEVICES = 64
/** Bytes of the device list as JSON in UTF-8: half of what a relay answers with, the other half is for keys. */
export const MAX_SHELF_BYTES = 32_768
/** One-time keys that a relay keeps for all users of a name: ten for each of four hundred devices. */
export const MAX_SHELF_KEYS_OF_NAME = 4_096

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
    if (checkCanonical(list) !== undefined || shelfBytes(list) > MAX_SHELF_BYTES) return undefined
    const devices = devicesIn(list)
    const isList = devices !== undefined && new Set(devices).size === devices.length
    return isList && devices.length <= MAX_SHELF_DEVICES ? { user, list } : undefined
  },
  key: ({ user }) => `shelf/${user}`,
})

/** What `MAX_SHELF_BYTES` bounds. */
export function shelfBytes(list: JsonObject): number {
  return utf8ToBytes(JSON.stringify(list)).length
}

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
