/** The port through which a relay keeps mail, and what it keeps of a recipient. DESIGN section 8 */
import type { JsonObject, ServerName, UserId } from '@plexus/core'
import type { SignedAccountRecord, SignedShelf } from '@plexus/core/names'
import type { KeptMail, MailLane, SealedMail, ShelfCounts, ShelfKeys, StoreError } from '@plexus/engine/ports'

/** What a relay knows of a recipient. */
export type Mailbox = {
  /** The newest that was registered. */
  readonly record: SignedAccountRecord
  /** SHA-256 of the access key. */
  readonly accessKeyHash: Uint8Array
}

/** What one lane of one recipient may hold. */
export type LaneQuota = { readonly mails: number; readonly bytes: number }

export type MailTotals = { readonly mailboxes: number; readonly mails: number; readonly bytes: number }

/**
 * Mailboxes and the mail in them, of one relay or of several that share it. Invariants: what a method resolved with is on
 * disk and survives a power cut, removals excepted, which may come back; cursors of one mailbox only ever rise, also
 * after all its mail is gone and whatever the clock does; mail goes when every device of the record has acknowledged
 * it, or at its expiry.
 * @throws StoreError `full` when the disk is (nothing has changed), `failed` and `closed`.
 */
export interface MailStore extends AsyncDisposable {
  /** Why it takes nothing: until it is opened again, or until what it is kept in comes back. */
  readonly failure: StoreError | undefined
  /** `undefined` for a name without a mailbox. */
  mailbox(name: ServerName): Promise<Mailbox | undefined>
  /**
   * Makes a mailbox, or takes the place of its record when this one is newer; the same record with another access key
   * changes the key. Resolves with what is kept now, which holds another record where that is not older.
   * `undefined`: there are `maxMailboxes`, and this would be one more.
   */
  register(mailbox: Mailbox, maxMailboxes: number): Promise<Mailbox | undefined>
  /**
   * Keeps a mail, once: `known` for bytes that are there already. `quota`: the lane is full, or all that there may be is. `unknown`: no such
   * mailbox. `hash`: SHA-256 of the bytes. `now`: milliseconds since 1970.
   */
  deposit(mail: NewMail): Promise<'kept' | 'known' | 'quota' | 'unknown'>
  /**
   * Mail after `cursor` in order of arrival; at most `mails`, and the first alone or as many as `bytes` hold. Empty when
   * there is no more. `last`: as much of what came last, in order of arrival too.
   */
  fetch(name: ServerName, cursor: number, bounds: LaneQuota, end?: 'last'): Promise<readonly KeptMail[]>
  /** A device has everything up to `cursor`. One that is not in the record changes nothing. */
  acknowledge(name: ServerName, device: string, cursor: number): Promise<void>
  /**
   * Keeps the newest shelf of a user of the name, adds one-time keys to it, up to `MAX_SHELF_KEYS` a device, and changes fallback
   * keys; the keys of devices that the shelf does not name go. Answers with what is left, also of devices without keys. `old`: a
   * newer shelf is kept. `quota`: the name has `maxShelves`, or more than `maxKeys` one-time keys with these, or all is used that there
   * may be. `unknown`: no such mailbox.
   */
  stock(stock: NewStock): Promise<ShelfCounts | 'old' | 'quota' | 'unknown'>
  /** The shelf of a user, whether or not it has expired. */
  shelf(name: ServerName, user: UserId): Promise<SignedShelf | undefined>
  /**
   * Gives out a key of a device: while `mayTake` the oldest one-time key, which is gone for good then, else the fallback key, which
   * counts as used from then on. `undefined` where there is none.
   */
  claim(claim: ShelfClaim): Promise<JsonObject | undefined>
  /** Calls with the recipient when mail came, whichever relay took it, until the answer is called. */
  watch(arrived: (recipient: ServerName) => void): () => void
  /** Removes mail that expired, and mailboxes whose record did and that are empty, with their shelves. */
  expire(now: number): Promise<void>
  totals(): Promise<MailTotals>
}

export type NewMail = {
  readonly mail: SealedMail
  readonly hash: Uint8Array
  readonly quota: LaneQuota
  readonly now: number
  /** When it is removed though it has not expired; what the mail is sealed with stays as it is. */
  readonly until?: number
}

export type NewStock = {
  /** Whose mailbox it is. */
  readonly name: ServerName
  readonly shelf: SignedShelf
  readonly keys: ShelfKeys
  readonly maxShelves: number
  readonly maxKeys: number
}

export type ShelfClaim = {
  readonly name: ServerName
  readonly user: UserId
  readonly device: string
  readonly mayTake: boolean
}

/** One-time keys that a stock brings. */
export const addedKeys = (keys: ShelfKeys): number =>
  Object.values(keys).reduce((sum, { add }) => sum + add.length, 0)

export const LANES: readonly MailLane[] = ['keys', 'events', 'strangers']
