/** A key shelf as one JSON document: the record, and for each device the one-time keys in order and the fallback key. */
import type { JsonObject, JsonValue } from '@plexus/core'
import { shelfDevices, shelfRecords, type SignedShelf } from '@plexus/core/names'
import { StoreError, type DeviceStock, type ShelfCounts, type ShelfKeys } from '@plexus/engine/ports'
import { MAX_SHELF_KEYS } from '@plexus/p2p/wire'

type Keys = {
  readonly oneTime: readonly JsonObject[]
  readonly fallback?: JsonObject
  readonly isUsed?: boolean
}

export type ShelfDocument = { readonly shelf: SignedShelf; readonly keys: Readonly<Record<string, Keys>> }

const NONE: Keys = { oneTime: [] }

export const keysOf = ({ keys }: ShelfDocument, device: string): Keys =>
  (Object.hasOwn(keys, device) ? keys[device] : undefined) ?? NONE

/** The document with a shelf and keys put there; `old` where it has a newer shelf. */
export function stocked(
  before: ShelfDocument | undefined,
  shelf: SignedShelf,
  keys: ShelfKeys,
): ShelfDocument | 'old' {
  const known = before?.shelf
  const isSame = known !== undefined && textOf(known) === textOf(shelf)
  if (known !== undefined && !isSame && !shelfRecords.isNewer(shelf.record, known.record)) return 'old'
  const entries = shelfDevices(shelf.record).map((device) => {
    const there = before === undefined ? NONE : keysOf(before, device)
    const stock = Object.hasOwn(keys, device) ? keys[device] : undefined
    return [device, stock === undefined ? there : added(there, stock)] as const
  })
  return { shelf, keys: Object.fromEntries(entries) }
}

function added(there: Keys, { add, fallback }: DeviceStock): Keys {
  const oneTime = [...there.oneTime, ...add].slice(0, MAX_SHELF_KEYS)
  const isOther = fallback !== undefined && JSON.stringify(fallback) !== JSON.stringify(there.fallback)
  return isOther ? { oneTime, fallback } : { ...there, oneTime }
}

export function countsOf(document: ShelfDocument): ShelfCounts {
  const counts = shelfDevices(document.shelf.record).map((device) => {
    const { oneTime, isUsed = false } = keysOf(document, device)
    return [device, { left: oneTime.length, fallbackUsed: isUsed }] as const
  })
  return Object.fromEntries(counts)
}

export function oneTimeKeys({ keys }: ShelfDocument): number {
  return Object.values(keys).reduce((sum, { oneTime }) => sum + oneTime.length, 0)
}

/** A key to give out, and the document without it; the same document where that does not change it. */
export function claimed(
  document: ShelfDocument,
  device: string,
  mayTake: boolean,
): { readonly key: JsonObject; readonly document: ShelfDocument } | undefined {
  const keys = keysOf(document, device)
  const [key, ...oneTime] = keys.oneTime
  const changed = (left: Keys): ShelfDocument => ({ ...document, keys: { ...document.keys, [device]: left } })
  if (mayTake && key !== undefined) return { key, document: changed({ ...keys, oneTime }) }
  if (keys.fallback === undefined) return undefined
  return {
    key: keys.fallback,
    document: keys.isUsed === true ? document : changed({ ...keys, isUsed: true }),
  }
}

const textOf = (shelf: SignedShelf): string => JSON.stringify(shelfRecords.json(shelf))

export function encodeDocument({ shelf, keys }: ShelfDocument): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ shelf: shelfRecords.json(shelf), keys }))
}

/** @throws StoreError */
export function decodeDocument(bytes: Uint8Array): ShelfDocument {
  const { shelf: json, keys } = JSON.parse(new TextDecoder().decode(bytes)) as {
    shelf: JsonValue
    keys: ShelfDocument['keys']
  }
  const shelf = shelfRecords.parse(json)
  if (shelf === undefined) throw new StoreError('failed', 'a key shelf is damaged')
  return { shelf, keys }
}
