/** The port through which a relay keeps mail, and what it keeps of a recipient. DESIGN section 8 */
import type { ServerName } from '@plexus/core'
import type { SignedAccountRecord } from '@plexus/core/names'
import type { KeptMail, MailLane, SealedMail, StoreError } from '@plexus/engine/ports'

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
  /** Why it takes nothing any more, until it is opened again. */
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
   * there is no more.
   */
  fetch(name: ServerName, cursor: number, bounds: LaneQuota): Promise<readonly KeptMail[]>
  /** A device has everything up to `cursor`. One that is not in the record changes nothing. */
  acknowledge(name: ServerName, device: string, cursor: number): Promise<void>
  /** Removes mail that expired, and mailboxes whose record did and that are empty. */
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

export const LANES: readonly MailLane[] = ['keys', 'events', 'strangers']
