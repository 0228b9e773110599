/** Keys that relays give out for nodes that are away. DESIGN section 8 "Key shelf" */
import {
  checkCanonical,
  isJsonObject,
  parseServerName,
  parseUserId,
  type JsonObject,
  type JsonValue,
  type ServerName,
  type UserId,
} from '@plexus/core'
import { isCount, MAX_SHELF_DEVICES, shelfRecords, type SignedShelf } from '@plexus/core/names'
import type { DeviceStock, ShelfAnswer, ShelfCounts, ShelfKeys } from '@plexus/engine/ports'
import { MAX_DEVICE_ID_LENGTH, MAX_NAME_LENGTH, MAX_SHELF_KEY_BYTES, MAX_SHELF_KEYS } from './limits.ts'
import { decodeJson, encodeJson } from './message.ts'

/** What an owner brings. */
export type Stock = { readonly shelf: SignedShelf; readonly keys: ShelfKeys }

/** What somebody asks for: the shelf of a user, and a key of each of these devices. */
export type ShelfQuestion = {
  readonly recipient: ServerName
  readonly user: UserId
  readonly devices: readonly string[]
}

export function encodeStock({ shelf, keys }: Stock): Uint8Array {
  return encodeJson({ shelf: shelfRecords.json(shelf), keys })
}

/** Shape only. */
export function decodeStock(body: Uint8Array): Stock | undefined {
  const value = decodeJson(body)
  if (!isJsonObject(value)) return undefined
  const shelf = shelfRecords.parse(value['shelf'] ?? null)
  const keys = readByDevice(value['keys'], readDeviceStock)
  return shelf === undefined || keys === undefined ? undefined : { shelf, keys }
}

export const encodeShelfCounts = (counts: ShelfCounts): Uint8Array => encodeJson(counts)

export function decodeShelfCounts(body: Uint8Array): ShelfCounts | undefined {
  return readByDevice(decodeJson(body), (value) => {
    const { left, fallbackUsed } = value
    return isCount(left) && typeof fallbackUsed === 'boolean' ? { left, fallbackUsed } : undefined
  })
}

export const encodeShelfQuestion = (question: ShelfQuestion): Uint8Array => encodeJson(question)

export function decodeShelfQuestion(body: Uint8Array): ShelfQuestion | undefined {
  const value = decodeJson(body)
  if (!isJsonObject(value)) return undefined
  const { devices } = value
  const recipient = readText(value['recipient'], parseServerName)
  const user = readText(value['user'], parseUserId)
  if (recipient === undefined || user === undefined || !Array.isArray(devices)) return undefined
  const ids = (devices as readonly JsonValue[]).filter((id) => typeof id === 'string')
  const isList = ids.length === devices.length && ids.length <= MAX_SHELF_DEVICES && ids.every(isDeviceId)
  return isList ? { recipient, user, devices: ids } : undefined
}

export function encodeShelfAnswer({ shelf, keys }: ShelfAnswer): Uint8Array {
  return encodeJson({ shelf: shelfRecords.json(shelf), keys })
}

/** Shape only: whether the shelf counts, and the keys are of its devices, is to be checked. */
export function decodeShelfAnswer(body: Uint8Array): ShelfAnswer | undefined {
  const value = decodeJson(body)
  if (!isJsonObject(value)) return undefined
  const shelf = shelfRecords.parse(value['shelf'] ?? null)
  const keys = readByDevice(value['keys'], (key) => (isShelfKey(key) ? key : undefined))
  return shelf === undefined || keys === undefined ? undefined : { shelf, keys }
}

function readByDevice<Item>(
  value: JsonValue | undefined,
  read: (item: JsonObject) => Item | undefined,
): Readonly<Record<string, Item>> | undefined {
  if (value === undefined || !isJsonObject(value)) return undefined
  const entries = Object.entries(value)
  if (entries.length > MAX_SHELF_DEVICES) return undefined
  const items: [string, Item][] = []
  for (const [device, item] of entries) {
    const found = item !== undefined && isJsonObject(item) && isDeviceId(device) ? read(item) : undefined
    if (found === undefined) return undefined
    items.push([device, found])
  }
  return Object.fromEntries(items)
}

function readDeviceStock(value: JsonObject): DeviceStock | undefined {
  const { add, fallback } = value
  if (!Array.isArray(add) || add.length > MAX_SHELF_KEYS) return undefined
  const keys = (add as readonly JsonValue[]).filter(isShelfKey)
  if (keys.length !== add.length) return undefined
  if (fallback === undefined) return { add: keys }
  return isShelfKey(fallback) ? { add: keys, fallback } : undefined
}

/** One key under its name, as `POST /user/keys/claim` answers. */
function isShelfKey(value: JsonValue): value is JsonObject {
  return (
    isJsonObject(value) &&
    Object.keys(value).length === 1 &&
    checkCanonical(value) === undefined &&
    encodeJson(value).length <= MAX_SHELF_KEY_BYTES
  )
}

function isDeviceId(text: string): boolean {
  return text.length > 0 && text.length <= MAX_DEVICE_ID_LENGTH
}

function readText<Id>(value: JsonValue | undefined, parse: (text: string) => Id | undefined): Id | undefined {
  return typeof value === 'string' && value.length <= MAX_NAME_LENGTH ? parse(value) : undefined
}
