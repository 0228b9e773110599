import {
  kindOfKey,
  MAX_RECORD_BYTES,
  readPublished,
  type PublishedRecord,
  type SignedRecord,
} from '@plexus/core/names'
import { decodeJson, encodeJson } from './message.ts'

/** libp2p protocol id of the DHT that holds published records. */
export const DHT_PROTOCOL = '/plexus/kad/1.0.0'
/** First part of the DHT's keys, by which the library finds validator and selector. */
export const DHT_NAMESPACE = 'plexus'

const PREFIX = `/${DHT_NAMESPACE}/`
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** A sound record as it is published, and the key that it is found by. */
export type Published = { readonly key: string; readonly signed: SignedRecord<PublishedRecord> }

/** The DHT's key for a record's key. */
export function encodeDhtKey(key: string): Uint8Array {
  return encoder.encode(PREFIX + key)
}

/** `undefined` for bytes that are no key of ours. */
export function decodeDhtKey(bytes: Uint8Array): string | undefined {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return undefined
  }
  if (!text.startsWith(PREFIX)) return undefined
  const key = text.slice(PREFIX.length)
  return kindOfKey(key) === undefined ? undefined : key
}

/** @throws TypeError for a key that is none */
export function encodePublished({ key, signed }: Published): Uint8Array {
  const kind = kindOfKey(key)
  if (kind === undefined) throw new TypeError('not the key of a record')
  return encodeJson(kind.json(signed))
}

/** `undefined` for anything but a record that stands under `key` and counts at `now`. */
export function decodePublished(key: string, bytes: Uint8Array, now: number): Published | undefined {
  if (bytes.length > MAX_RECORD_BYTES) return undefined
  const value = decodeJson(bytes)
  const signed = value === undefined ? undefined : readPublished(key, value, now)
  return signed === undefined ? undefined : { key, signed }
}

/** True when `published` takes the place of `known`, both under one key. */
export function isNewer(published: Published, known: Published): boolean {
  return kindOfKey(published.key)?.isNewer(published.signed.record, known.signed.record) ?? false
}

/** What the DHT asks of its records, at servers and clients alike. */
export type DhtRules = {
  readonly validators: Readonly<Record<string, (key: Uint8Array, value: Uint8Array) => Promise<void>>>
  readonly selectors: Readonly<Record<string, (key: Uint8Array, values: readonly Uint8Array[]) => number>>
}

/** @param now milliseconds since 1970 */
export function createDhtRules(now: () => number): DhtRules {
  const read = (key: Uint8Array, value: Uint8Array): Published | undefined => {
    const text = decodeDhtKey(key)
    return text === undefined ? undefined : decodePublished(text, value, now())
  }
  return {
    validators: {
      [DHT_NAMESPACE](key, value) {
        return read(key, value) === undefined
          ? Promise.reject(new Error('not a sound record'))
          : Promise.resolve()
      },
    },
    selectors: {
      [DHT_NAMESPACE](key, values) {
        let best = 0
        let newest: Published | undefined
        for (const [index, value] of values.entries()) {
          const published = read(key, value)
          if (published === undefined || (newest !== undefined && !isNewer(published, newest))) continue
          newest = published
          best = index
        }
        return best
      },
    },
  }
}
