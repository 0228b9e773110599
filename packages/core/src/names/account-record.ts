import { decodeBase64 } from '../base64.ts'
import { parseServerName, type ServerName } from '../ids.ts'
import { isJsonObject, type JsonValue } from '../json.ts'
import { isCount } from './domain.ts'
import {
  MAX_ADDRESS_CHARS,
  parseList,
  parsePeerId,
  parseText,
  recordKind,
  type RecordHead,
  type RecordKind,
  type SignedRecord,
} from './record.ts'

/** Longest validity of an account record, in milliseconds. DESIGN section 7 */
export const MAX_ACCOUNT_RECORD_MS: number = 120 * 24 * 3_600_000
/** Bounds of what one record lists. */
export const MAX_MAILBOXES = 4
export const MAX_MAILBOX_ADDRESSES = 4
export const MAX_RECORD_DEVICES = 8
export const MAX_SEALING_KEYS = 4

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

/**
 * Where an account's mail is taken, what it is sealed to, and which devices speak for the account. A later `since` outranks
 * any sequence, so that no device takes back unasked what another one took over; a tombstone outranks both. DESIGN section 7
 */
export type AccountRecord = RecordHead & {
  readonly mailboxes: readonly MailboxAddress[]
  /** Peer ids of the account's devices. */
  readonly devices: readonly string[]
  /** When these took the account over, in milliseconds since 1970; before all others where it is absent. */
  readonly since?: number
  /** Newest first. */
  readonly sealingKeys: readonly SealingKey[]
  readonly tombstone?: Tombstone
}

export type SignedAccountRecord = SignedRecord<AccountRecord>

export const accountRecords: RecordKind<AccountRecord> = recordKind<AccountRecord>({
  domain: 'accountRecord',
  maxValidityMs: MAX_ACCOUNT_RECORD_MS,
  fields({ mailboxes, devices, since, sealingKeys, tombstone }) {
    const fields = {
      mailboxes: mailboxes.map(({ peerId, multiaddrs }) => ({ peerId, multiaddrs })),
      devices,
      ...(since === undefined ? {} : { since }),
      sealingKeys: sealingKeys.map(({ id, publicKey, expires }) => ({ id, publicKey, expires })),
    }
    if (tombstone === undefined) return fields
    return { ...fields, tombstone: tombstone === 'dead' ? tombstone : { movedTo: tombstone.movedTo } }
  },
  parseFields(value) {
    const mailboxes = parseList(value['mailboxes'], MAX_MAILBOXES, parseMailbox)
    const devices = parseList(value['devices'], MAX_RECORD_DEVICES, parsePeerId)
    const sealingKeys = parseList(value['sealingKeys'], MAX_SEALING_KEYS, parseSealingKey)
    if (mailboxes === undefined || devices === undefined || sealingKeys === undefined) return undefined
    const { since } = value
    if (since !== undefined && !isCount(since)) return undefined
    const fields = { mailboxes, devices, ...(since === undefined ? {} : { since }), sealingKeys }
    if (value['tombstone'] === undefined) return fields
    const tombstone = parseTombstone(value['tombstone'])
    return tombstone === undefined ? undefined : { ...fields, tombstone }
  },
  key: ({ name }) => accountKey(name),
  epoch: ({ since }) => since ?? 0,
  isLast: ({ tombstone }) => tombstone !== undefined,
})

/** What the account record of a name is found by. */
export function accountKey(name: ServerName): string {
  return `account/${name}`
}

function parseMailbox(value: JsonValue): MailboxAddress | undefined {
  if (!isJsonObject(value)) return undefined
  const peerId = parsePeerId(value['peerId'])
  const multiaddrs = parseList(value['multiaddrs'], MAX_MAILBOX_ADDRESSES, (address) =>
    parseText(address, MAX_ADDRESS_CHARS),
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
