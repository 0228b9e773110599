/** What the mail keeps in the store. */
import type { RoomId, ServerName, UserId } from '@plexus/core'
import type { DeviceRecord, SignedAccountRecord, SignedRecord, SignedShelf } from '@plexus/core/names'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'

/** How long a mail waits at a relay. DESIGN section 8 */
export const MAIL_RETENTION_MS: number = 30 * 24 * 3_600_000

/** A key that others seal mail to. Base64, without padding. */
export type SealingKeyRow = {
  readonly publicKey: string
  readonly privateKey: string
  /** When it was made. */
  readonly at: number
}

/** A relay that keeps mail for this node. */
export type MailboxRow = {
  readonly multiaddrs: readonly string[]
  /** Everything up to here is on disk. */
  readonly cursor: number
  /** When it was last connected. */
  readonly seen: number
  /** When it got the newest record that it has; 0 for none. */
  readonly registered: number
  /** It held no mail from before it had the record that it got at this time; 0 for never. */
  readonly clean: number
}

/** What is known of another node. */
export type Contact = {
  readonly signed: SignedAccountRecord
  /** Lets mail into the lanes for contacts; unknown of a node that was looked up. */
  readonly accessKey?: string
}

/** A transaction of ours that waits at relays. It holds EDUs or events, never both. */
export type MailRow = {
  /** When it was left there. */
  readonly at: number
  readonly expires: number
  readonly relays: readonly string[]
  /** Own events of a room after `from` up to `to`. */
  readonly rooms: readonly { readonly roomId: RoomId; readonly from: number; readonly to: number }[]
  /** Durable EDUs by their keys, and the sequence of the last. */
  readonly edus?: { readonly from: number; readonly to: number; readonly sequence: number }
  /** The destination has got it. */
  readonly arrived?: true
}

/** The newest shelf of a user of this node, the hash of what it shows, and the incarnation of the store that made it. */
export type ShelfRow = { readonly signed: SignedShelf; readonly shows: string; readonly by?: string }

/** What a relay showed of a user: no shelf of a lower sequence counts until `expires`, when none is good any more. */
export type SeenShelf = { readonly sequence: number; readonly expires: number }

/** Users of others of whom it is remembered; beyond, who was heard of longest ago is forgotten. */
export const MAX_SEEN_SHELVES = 10_000

/** When a name had all its time for keys last and said nothing, milliseconds since the epoch, and how often that was. */
export type SilentRow = { readonly at: number; readonly times: number }

/**
 * How this store stands to the account. `claims`: it takes it over, and outranks what it hears of. A record: that of the
 * device that took it over from this one. Absent: this is the device that speaks for it.
 */
export type StandingRow = 'claims' | SignedAccountRecord

export const sealingKeys: Table<readonly [string], SealingKeyRow> = table('sealing-key', ['s'])
export const ownRecords: Table<readonly [string], SignedAccountRecord> = table('own-record', ['s'])
export const standings: Table<readonly [string], StandingRow> = table('account-standing', ['s'])
/** By peer id. */
export const ownDevices: Table<readonly [string], SignedRecord<DeviceRecord>> = table('own-device', ['s'])
export const accessKeys: Table<readonly [string], string> = table('access-key', ['s'])
/** By peer id. */
export const mailboxes: Table<readonly [string], MailboxRow> = table('mailbox', ['s'])
export const contacts: Table<readonly [ServerName], Contact> = table('contact', ['s'])
/** What a destination was last told of this node. */
export const told: Table<readonly [ServerName], string> = table('contact-told', ['s'])
/** By destination and transaction id. */
export const mails: Table<readonly [ServerName, string], MailRow> = table('mail', ['s', 's'])
/** Mail that its origin is to hear of, by origin, incarnation and transaction id: the relays that brought it. */
export const received: Table<readonly [ServerName, string, string], readonly string[]> = table(
  'mail-received',
  ['s', 's', 's'],
)
export const shelves: Table<readonly [UserId], ShelfRow> = table('key-shelf', ['s'])
export const silentNames: Table<readonly [ServerName], SilentRow> = table('key-silent', ['s'])
/** The newest shelf of a user that a relay showed. */
export const seenShelves: Table<readonly [UserId], SeenShelf> = table('key-shelf-seen', ['s'])
