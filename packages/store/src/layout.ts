/**
 * How named maps share one physical sequence of string keys: map + U+0001 + key. A map's name has no U+0001, so no two
 * maps can share a physical key, and every string between two of one map has that map's prefix. Keys of the store
 * itself begin with U+0001, where no map name can.
 */
import { StoreError } from '@plexus/engine/ports'
import type { Write } from '@plexus/engine/ports'

/** Bounds what one hostile identifier can cost in an index; four escaped Matrix identifiers of 255 bytes fit. */
export const MAX_KEY_LENGTH = 8_192

export const EPOCH_KEY = '\u0001epoch'
export const SCHEMA_KEY = '\u0001schema'

const SEPARATOR = '\u0001'
const MAP = /^[!-~]{1,64}$/
const KEY = /^[\u0001-\u00ff]*$/

export type PhysicalWrite = { readonly key: string; readonly value: string | undefined }

/** What all physical keys of a map begin with. @throws StoreError `failed` for a name outside U+0021..U+007E. */
export function prefixOf(map: string): string {
  if (!MAP.test(map)) throw new StoreError('failed', `not a map name: ${JSON.stringify(map)}`)
  return map + SEPARATOR
}

/** @throws StoreError `failed` for a key or value that some adapter could not give back as it is. */
export function physicalWrite({ map, key, value }: Write): PhysicalWrite {
  if (key.length > MAX_KEY_LENGTH)
    throw new StoreError('failed', `key longer than ${MAX_KEY_LENGTH} in map ${map}`)
  if (!KEY.test(key)) throw new StoreError('failed', `key outside U+0001..U+00FF in map ${map}`)
  // SQLite keeps UTF-8, which has no lone surrogates.
  if (value !== undefined && !value.isWellFormed()) {
    throw new StoreError('failed', `value with a lone surrogate in map ${map}`)
  }
  return { key: prefixOf(map) + key, value }
}

/** The write that a physical one stands for; `undefined` for the store's own keys. */
export function logicalWrite({ key, value }: PhysicalWrite): Write | undefined {
  const end = key.indexOf(SEPARATOR)
  return end <= 0 ? undefined : { map: key.slice(0, end), key: key.slice(end + 1), value }
}
