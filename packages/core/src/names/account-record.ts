import { decodeBase64 } from '../base64.ts'
import { verifyEd25519 } from '../ed25519.ts'
import { parseServerName, type ServerName } from '../ids.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts'
import { MAX_CLOCK_SKEW_MS } from './certificate.ts'
import { isCount, separatedBytes } from './domain.ts'
import { keyOfName } from './names.ts'

/** Longest validity of an account record, in milliseconds. DESIGN section 7 */
export const MAX_ACCOUNT_RECORD_MS: number = 120 * 24 * 3_600_000
/** Bounds of what one record lists. */
export const MAX_MAILBOXES = 4
export const MAX_MAILBOX_ADDRESSES = 4
export const MAX_RECORD_DEVICES = 8
export const MAX_SEALING_KEYS = 4
/** Characters of a multiaddr in a record. */
const MAX_ADDRESS_CHARS = 512

const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{44,64}$/
const SEALING_KEY_ID = /^[A-Za-z0-9_-]{1,32}$/
const SEALING_KEY_BYTES = 32

/** A relay that keeps mail: its libp2p identity, and where to find it, best first. */
export type MailboxAddress = { readonly peerId: string; readonly multiaddrs: readonly string[] }

/** An X25519 public key that mail for the account is sealed to. */
export type SealingKey = {
  readonly id: string
  /** Unpadded base64 of 32 bytes. */
  readonly publicKey: string
  /** Milliseconds since 1970 after which nothing more is sealed to it. */
  readonly expires: number
}

/** `dead`: the account is given up; else the name that its owner has moved to. */
export type Tombstone = 'dead' | { readonly movedTo: ServerName }

/** Where an account's mail is taken, what it is sealed to, and which devices speak for the account. DESIGN section 7 */
export type AccountRecord = {
  readonly name: ServerName
  /** Of two records of a name the higher sequence counts; a tombstone outranks any. */
  readonly sequence: number
  /** Milliseconds since 1970. */
  readonly expires: number
  readonly mailboxes: readonly MailboxAddress[]
  /** Peer ids of the account's devices. */
  readonly devices: readonly string[]
  /** Newest first. */
  readonly sealingKeys: readonly SealingKey[]
  readonly tombstone?: Tombstone
}

/** A record and the name key's signature of it, in unpadded base64. */
export type SignedAccountRecord = { readonly record: AccountRecord; readonly signature: string }

/** Why a record does not count. */
export type RecordFailure = 'not a key name' | 'validity too long' | 'expired' | 'bad signature'

/** The bytes that the name key signs. */
export function accountRecordBytes(record: AccountRecord): Uint8Array {
  return separatedBytes('accountRecord', accountRecordJson(record))
}

/** The record as JSON, without anything else that the value may carry. */
export function accountRecordJson(record: AccountRecord): JsonObject {
  const { name, sequence, expires, devices, tombstone } = record
  const mailboxes = record.mailboxes.map(({ peerId, multiaddrs }) => ({ peerId, multiaddrs }))
  const sealingKeys = record.sealingKeys.map((key) => ({
    id: key.id,
    publicKey: key.publicKey,
    expires: key.expires,
  }))
  const fields = { name, sequence, expires, mailboxes, devices, sealingKeys }
  if (tombstone === undefined) return fields
  return { ...fields, tombstone: tombstone === 'dead' ? tombstone : { movedTo: tombstone.movedTo } }
}

/** Shape and bounds only: `checkAccountRecord` says whether it counts. Unknown keys are dropped. */
export function parseSignedAccountRecord(value: JsonValue): SignedAccountRecord | undefined {
  if (!isJsonObject(value)) return undefined
  const record = parseAccountRecord(value['record'] ?? null)
  const signature = value['signature']
  if (record === undefined || typeof signature !== 'string' || signature.length > 128) return undefined
  return { record, signature }
}

function parseAccountRecord(value: JsonValue): AccountRecord | undefined {
  if (!isJsonObject(value)) return undefined
  const { sequence, expires } = value
  const name = typeof value['name'] === 'string' ? parseServerName(value['name']) : undefined
  const mailboxes = parseList(value['mailboxes'], MAX_MAILBOXES, parseMailbox)
  const devices = parseList(value['devices'], MAX_RECORD_DEVICES, parsePeerId)
  const sealingKeys = parseList(value['sealingKeys'], MAX_SEALING_KEYS, parseSealingKey)
  if (name === undefined || !isCount(sequence) || !isCount(expires)) return undefined
  if (mailboxes === undefined || devices === undefined || sealingKeys === undefined) return undefined
  const record = { name, sequence, expires, mailboxes, devices, sealingKeys }
  if (value['tombstone'] === undefined) return record
  const tombstone = parseTombstone(value['tombstone'])
  return tombstone === undefined ? undefined : { ...record, tombstone }
}

/** All items, or nothing when there are too many or one is none. */
function parseList<Item>(
  value: JsonValue | undefined,
  max: number,
  parse: (item: JsonValue) => Item | undefined,
): readonly Item[] | undefined {
  if (!Array.isArray(value) || value.length > max) return undefined
  const items = (value as readonly JsonValue[]).map(parse).filter((item) => item !== undefined)
  return items.length === value.length ? items : undefined
}

function parsePeerId(value: JsonValue): string | undefined {
  return typeof value === 'string' && PEER_ID.test(value) ? value : undefined
}

function parseMailbox(value: JsonValue): MailboxAddress | undefined {
  if (!isJsonObject(value)) return undefined
  const peerId = parsePeerId(value['peerId'] ?? null)
  const multiaddrs = parseList(value['multiaddrs'], MAX_MAILBOX_ADDRESSES, (address) =>
    typeof address === 'string' && address.length <= MAX_ADDRESS_CHARS ? address : undefined,
  )
  return peerId === undefined || multiaddrs === undefined ? undefined : { peerId, multiaddrs }
}

function parseSealingKey(value: JsonValue): SealingKey | undefined {
  if (!isJsonObject(value)) return undefined
  const { id, publicKey, expires } = value
  if (typeof id !== 'string' || !SEALING_KEY_ID.test(id) || !isCount(expires)) return undefined
  if (typeof publicKey !== 'string' || decodeBase64(publicKey)?.length !== SEALING_KEY_BYTES) return undefined
  return { id, publicKey, expires }
}

function parseTombstone(value: JsonValue): Tombstone | undefined {
  if (value === 'dead') return value
  if (!isJsonObject(value) || typeof value['movedTo'] !== 'string') return undefined
  const movedTo = parseServerName(value['movedTo'])
  return movedTo === undefined ? undefined : { movedTo }
}

/** `undefined` if the record counts at `now` (milliseconds since 1970). Whether a newer one is known is the caller's to know. */
export function checkAccountRecord(
  { record, signature }: SignedAccountRecord,
  now: number,
): RecordFailure | undefined {
  const key = keyOfName(record.name)
  if (key === undefined) return 'not a key name'
  if (record.expires > now + MAX_ACCOUNT_RECORD_MS + MAX_CLOCK_SKEW_MS) return 'validity too long'
  // A tombstone speaks for ever.
  if (record.tombstone === undefined && now >= record.expires) return 'expired'
  const bytes = decodeBase64(signature)
  const isSound = bytes !== undefined && verifyEd25519(key, accountRecordBytes(record), bytes)
  return isSound ? undefined : 'bad signature'
}

/** True when `record` takes the place of `known`, both of one name and sound. */
export function isNewerRecord(record: AccountRecord, known: AccountRecord): boolean {
  const isLast = record.tombstone !== undefined
  const wasLast = known.tombstone !== undefined
  return isLast === wasLast ? record.sequence > known.sequence : isLast
}
