import { utf8ToBytes } from '@noble/hashes/utils.js'
import { canonicalJson } from '../canonical-json.ts'
import type { JsonObject } from '../json.ts'

/**
 * What the name key signs besides Matrix objects, and what mail is sealed with. Matrix signs canonical JSON, which starts with `{`; each of these
 * starts with its own line, so that no signature of one kind is one of another.
 */
const PREFIXES = {
  certificate: 'plexus certificate 1\n',
  envelope: 'plexus envelope 1\n',
  gossip: 'plexus gossip 1\n',
  accountRecord: 'plexus account record 1\n',
  deviceRecord: 'plexus device record 1\n',
  aliasRecord: 'plexus alias record 1\n',
  listingRecord: 'plexus public rooms record 1\n',
  shelfRecord: 'plexus key shelf 1\n',
  mail: 'plexus mail 1\n',
} as const

export type DomainKind = keyof typeof PREFIXES

/** The bytes to sign for one kind of object. */
export function separatedBytes(kind: DomainKind, fields: JsonObject): Uint8Array {
  return utf8ToBytes(PREFIXES[kind] + canonicalJson(fields))
}

/** A time in milliseconds since 1970, or a counter: an integer from 0 to 2^53 − 1. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)
}
