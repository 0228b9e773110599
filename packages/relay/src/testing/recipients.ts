import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { encodeBase64, type ServerName, type UserId } from '@plexus/core'
import {
  accountRecords,
  certificateBytes,
  nameOfKey,
  shelfRecords,
  type AccountRecord,
  type ShelfRecord,
  type SignedAccountRecord,
  type SignedShelf,
} from '@plexus/core/names'
import type { SealedMail } from '@plexus/engine/ports'
import type { SignedCertificate } from '@plexus/p2p/wire'
import type { Mailbox } from '../mail/mail-store.ts'

const DAY_MS = 24 * 3_600_000
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

export const KEY_ID = 'k1'
export const ACCESS_KEY: string = encodeBase64(new Uint8Array(32).fill(3))

export const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest())

export const ACCESS_HASH: Uint8Array = sha256(new Uint8Array(32).fill(3))

/** The peer id of a device of the tests: of the right shape. */
export const deviceAt = (n: number): string => `12D3KooW${(BASE58[n] ?? 'z').repeat(44)}`

/** A name with its key, and what it signs. */
export type Recipient = {
  readonly name: ServerName
  /** A record of two devices, 0 and 1, with one sealing key. */
  record(change?: Partial<AccountRecord>): SignedAccountRecord
  mailbox(change?: Partial<AccountRecord>): Mailbox
  readonly user: UserId
  /** The shelf of the user, with devices `A` and `B`. */
  shelf(change?: Partial<ShelfRecord>): SignedShelf
  certify(device: string, change?: { expires?: number }): SignedCertificate
  mail(text: string, change?: Partial<SealedMail>): SealedMail
}

export function createRecipient(now: number): Recipient {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const name = nameOfKey(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)))
  const signed = (bytes: Uint8Array): string => encodeBase64(new Uint8Array(sign(null, bytes, privateKey)))
  const record = (change: Partial<AccountRecord> = {}): SignedAccountRecord => {
    const made: AccountRecord = {
      name,
      sequence: 1,
      expires: now + 60 * DAY_MS,
      mailboxes: [],
      devices: [deviceAt(0), deviceAt(1)],
      sealingKeys: [{ id: KEY_ID, publicKey: ACCESS_KEY, expires: now + 30 * DAY_MS }],
      ...change,
    }
    return { record: made, signature: signed(accountRecords.bytes(made)) }
  }
  const user = `@ada:${name}` as UserId
  return {
    name,
    user,
    shelf(change = {}) {
      const list = listOf(user, ['A', 'B'])
      const made: ShelfRecord = { name, sequence: 1, expires: now + 20 * DAY_MS, user, list, ...change }
      return { record: made, signature: signed(shelfRecords.bytes(made)) }
    },
    record,
    mailbox: (change) => ({ record: record(change), accessKeyHash: ACCESS_HASH }),
    certify(device, { expires = now + DAY_MS } = {}) {
      const certificate = { name, peerId: device, notBefore: now - DAY_MS, expires }
      return { certificate, signature: signed(certificateBytes(certificate)) }
    },
    mail: (text, change = {}) => ({
      recipient: name,
      lane: 'keys',
      keyId: KEY_ID,
      expires: now + 30 * DAY_MS,
      bytes: new TextEncoder().encode(text),
      ...change,
    }),
  }
}

/** A list of devices, as GET /user/devices answers. */
export function listOf(user: UserId, devices: readonly string[]): ShelfRecord['list'] {
  return { user_id: user, stream_id: 1, devices: devices.map((device_id) => ({ device_id, keys: {} })) }
}
