import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { decodeBase64, encodeBase64Url } from '../base64.ts'
import { verifyEd25519 } from '../ed25519.ts'
import { parseServerName, type ServerName } from '../ids.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts'
import { MAX_CLOCK_SKEW_MS } from './certificate.ts'
import { isCount, separatedBytes, type DomainKind } from './domain.ts'
import { keyOfName } from './names.ts'

/** Bytes of a signed record as JSON in UTF-8. */
export const MAX_RECORD_BYTES = 16_384
const MAX_SIGNATURE_CHARS = 128
/** Characters of a multiaddr in a record. */
export const MAX_ADDRESS_CHARS = 512
const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{44,64}$/

/** What every record says. DESIGN section 7 */
export type RecordHead = {
  /** Whose name key signs it. */
  readonly name: ServerName
  /** Of two records under one key the higher sequence counts, unless their kind has something that outranks it. */
  readonly sequence: number
  /** Milliseconds since 1970. */
  readonly expires: number
}

/** A record and the name key's signature of it, in unpadded base64. */
export type SignedRecord<Record extends RecordHead> = { readonly record: Record; readonly signature: string }

/** Why a record does not count. */
export type RecordFailure = 'not a key name' | 'validity too long' | 'expired' | 'bad signature'

/** One kind of records that are published: what they are signed as, how they are read and judged. */
export interface RecordKind<Record extends RecordHead> {
  /** The bytes that the name key signs. */
  bytes(record: Record): Uint8Array
  /** The signed record as JSON, without anything else that the value may carry. */
  json(signed: SignedRecord<Record>): JsonObject
  /** Shape and bounds only: `check` says whether it counts. Unknown keys are dropped. */
  parse(value: JsonValue): SignedRecord<Record> | undefined
  /** `undefined` if the record counts at `now`, in milliseconds since 1970. Whether a newer one is known is the caller's to know. */
  check(signed: SignedRecord<Record>, now: number): RecordFailure | undefined
  /** True when `record` takes the place of `known`, both under one key and sound. */
  isNewer(record: Record, known: Record): boolean
  /** What the record is found by. */
  key(record: Record): string
}

/** What one kind of records has beside the head. */
export type RecordShape<Record extends RecordHead> = {
  readonly domain: DomainKind
  readonly maxValidityMs: number
  fields(record: Record): JsonObject
  parseFields(value: JsonObject, head: RecordHead): Omit<Record, keyof RecordHead> | undefined
  key(record: Record): string
  /** Records of a higher one outrank any sequence. */
  epoch?(record: Record): number
  /** True for a record that speaks for ever, and outranks any that does not. */
  isLast?(record: Record): boolean
}

export function recordKind<Record extends RecordHead>(shape: RecordShape<Record>): RecordKind<Record> {
  const isLast = (record: Record): boolean => shape.isLast?.(record) ?? false
  const epoch = (record: Record): number => shape.epoch?.(record) ?? 0
  const json = (record: Record): JsonObject => {
    const { name, sequence, expires } = record
    return { name, sequence, expires, ...shape.fields(record) }
  }
  const bytes = (record: Record): Uint8Array => separatedBytes(shape.domain, json(record))

  function parseRecord(value: JsonValue | undefined): Record | undefined {
    if (value === undefined || !isJsonObject(value)) return undefined
    const { sequence, expires } = value
    const name = typeof value['name'] === 'string' ? parseServerName(value['name']) : undefined
    if (name === undefined || !isCount(sequence) || !isCount(expires)) return undefined
    const head = { name, sequence, expires }
    const fields = shape.parseFields(value, head)
    return fields === undefined ? undefined : ({ ...head, ...fields } as Record)
  }

  return {
    bytes,
    json: ({ record, signature }) => ({ record: json(record), signature }),
    parse(value) {
      if (!isJsonObject(value)) return undefined
      const record = parseRecord(value['record'])
      const { signature } = value
      if (record === undefined || typeof signature !== 'string') return undefined
      return signature.length > MAX_SIGNATURE_CHARS ? undefined : { record, signature }
    },
    check({ record, signature }, now) {
      const key = keyOfName(record.name)
      if (key === undefined) return 'not a key name'
      if (record.expires > now + shape.maxValidityMs + MAX_CLOCK_SKEW_MS) return 'validity too long'
      if (!isLast(record) && now >= record.expires) return 'expired'
      const signed = decodeBase64(signature)
      const isSound = signed !== undefined && verifyEd25519(key, bytes(record), signed)
      return isSound ? undefined : 'bad signature'
    },
    isNewer(record, known) {
      if (isLast(record) !== isLast(known)) return isLast(record)
      const difference = epoch(record) - epoch(known)
      return difference === 0 ? record.sequence > known.sequence : difference > 0
    },
    key: (record) => shape.key(record),
  }
}

/** All items, or nothing when there are too many or one is none. */
export function parseList<Item>(
  value: JsonValue | undefined,
  max: number,
  parse: (item: JsonValue) => Item | undefined,
): readonly Item[] | undefined {
  if (!Array.isArray(value) || value.length > max) return undefined
  const items = (value as readonly JsonValue[]).map(parse).filter((item) => item !== undefined)
  return items.length === value.length ? items : undefined
}

export function parsePeerId(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && PEER_ID.test(value) ? value : undefined
}

export function parseText(value: JsonValue | undefined, maxChars: number): string | undefined {
  return typeof value === 'string' && value.length <= maxChars ? value : undefined
}

/** A part of a key that may be long or private: its hash, in URL-safe base64. */
export function hashedPart(text: string): string {
  return encodeBase64Url(sha256(utf8ToBytes(text)))
}
