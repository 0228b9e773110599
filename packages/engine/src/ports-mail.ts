/** Ports of mail: sealed requests that relays keep for who is away. DESIGN section 8 */
import type { JsonObject, ServerName, UserId } from '@plexus/core'
import type { MailboxAddress, SignedAccountRecord, SignedShelf } from '@plexus/core/names'
import type { EnvelopedRequest } from './ports.ts'

/**
 * Which quota a mail counts for: what cannot be fetched again (to-device, invites), events, and what comes from somebody
 * without the recipient's access key.
 */
export type MailLane = 'keys' | 'events' | 'strangers'

/** A mail as a relay keeps it: nothing but the recipient is known of it. */
export type SealedMail = {
  readonly recipient: ServerName
  readonly lane: MailLane
  /** Of the recipient's sealing key. */
  readonly keyId: string
  /** Milliseconds since 1970 after which it is of no use. */
  readonly expires: number
  /** Encapsulated key and ciphertext. */
  readonly bytes: Uint8Array
}

/** A mail with its place in one mailbox: `cursor` rises in the order of arrival there. */
export type KeptMail = { readonly cursor: number; readonly mail: SealedMail }

/** Why a relay does not take something. */
export type MailRefusal =
  /** The recipient keeps no mailbox there. */
  | 'unknown-recipient'
  /** The sealing key is not of the recipient's newest record, which the answer holds. */
  | 'old-key'
  /** A record of this node that is newer than the one registered, or another of the same sequence: the answer holds it. */
  | 'old-record'
  | 'bad-access'
  | 'quota'
  | 'too-large'
  | 'too-fast'
  | 'not-allowed'
  | 'nonsense'

/** The relay answered that it does not take it. */
export class MailError extends Error {
  override readonly name = 'MailError'
  readonly code: MailRefusal
  /** The newest record of the recipient, soundly signed, with `old-key` and `old-record`; sometimes with others. */
  readonly record: SignedAccountRecord | undefined
  constructor(code: MailRefusal, record?: SignedAccountRecord) {
    super(`the relay refuses: ${code}`)
    this.code = code
    this.record = record
  }
}

/** An X25519 pair, 32 bytes each. */
export type SealingPair = { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array }

/** Seals bytes to a public key, by HPKE in base mode (RFC 9180): nothing tells who sealed them. */
export interface Sealer {
  makeKey(): Promise<SealingPair>
  /** Encapsulated key and ciphertext, 48 bytes more than `text`. @throws for a public key that is none. */
  seal(publicKey: Uint8Array, info: Uint8Array, text: Uint8Array): Promise<Uint8Array>
  /** `undefined` for what was altered, or sealed to another key or with another `info`. Never throws on any bytes. */
  open(pair: SealingPair, info: Uint8Array, sealed: Uint8Array): Promise<Uint8Array | undefined>
}

/** What became of a mail. */
export type MailVerdict =
  /** It is committed. `isNews`: it held more than word of what came to its origin by mail. */
  | {
      readonly kind: 'taken'
      readonly origin: ServerName
      readonly incarnation: string
      readonly txnId: string
      readonly isNews: boolean
    }
  /** It never will be. */
  | { readonly kind: 'refused'; readonly why: string }
  /** The store does not take it at present, or it was looked at ahead of other mail, and something before it is missing. */
  | { readonly kind: 'later' }

/**
 * Takes in opened mails, unproven, and answers about each after the commit; server-api implements it. Never rejects. `ahead`: mail that came
 * before them was not fetched yet, so that only those are taken that need none of it.
 */
export type MailHandler = (
  mails: readonly EnvelopedRequest[],
  turn?: 'ahead',
) => Promise<readonly MailVerdict[]>

/** Keys of one device for a shelf, each under its name as `POST /user/keys/claim` answers. */
export type DeviceStock = {
  /** One-time keys beside those that are there. They are given out once, and never brought again. */
  readonly add: readonly JsonObject[]
  /** In the place of the one that is there. */
  readonly fallback?: JsonObject
}

/** By device id. */
export type ShelfKeys = Readonly<Record<string, DeviceStock>>

/** One-time keys that a relay says to have left, and whether it gave out the fallback key; by device id. */
export type ShelfCounts = Readonly<Record<string, { readonly left: number; readonly fallbackUsed: boolean }>>

/** A user's shelf as a relay shows it, and a key of each device that was asked for and has one. */
export type ShelfAnswer = { readonly shelf: SignedShelf; readonly keys: Readonly<Record<string, JsonObject>> }

/** Mailboxes at relays: those of this node, and those of others to leave mail in. Relays are believed in nothing. */
export interface Mailboxes {
  /** Relays that are connected now and offer mailboxes. */
  relays(): Promise<readonly MailboxAddress[]>
  /**
   * Makes or keeps this node's mailbox at a connected relay, which keeps and serves `record` from then on.
   * `accessKeyHash`: unpadded base64 of the SHA-256 of the 32 bytes of the key that lanes `keys` and `events` ask for.
   * @throws MailError, CarrierError
   */
  register(relay: string, registration: { record: SignedAccountRecord; accessKeyHash: string }): Promise<void>
  /**
   * Mail of this node's mailbox after `cursor`, in order of arrival, bounded by the relay; empty when there is no more. `last`: not what came
   * first after it but what came last, and few of these.
   * @throws MailError, CarrierError
   */
  fetch(relay: string, cursor: number, end?: 'last'): Promise<readonly KeptMail[]>
  /** This device has everything up to `cursor`, on disk. @throws MailError, CarrierError */
  acknowledge(relay: string, cursor: number): Promise<void>
  /**
   * Leaves mail at a relay, under an identity that is used for this recipient alone. On disk there when it resolves; the
   * same bytes again change nothing. Resolves with the milliseconds that the relay says to keep mail for at most. `accessKey`, unpadded base64 of 32 bytes, goes with the lanes `keys` and `events`;
   * without it the lane is `strangers`, and a proof of work is made.
   * @throws MailError, CarrierError
   */
  deposit(mailbox: MailboxAddress, mail: SealedMail, accessKey: string | undefined): Promise<number>
  /**
   * Puts the shelf of a user in the place of an older one at a relay that keeps this node's mail, and keys on it. The keys of
   * devices that it does not name are gone. What is left is the relay's word. @throws MailError, CarrierError
   */
  stock(relay: string, shelf: SignedShelf, keys: ShelfKeys): Promise<ShelfCounts>
  /**
   * The shelf that a relay shows of a user of `name`, soundly signed and not over, and a key of each of these devices, which it
   * gives nobody else: fallback keys excepted. Asked under an identity that is used for this name alone.
   * @throws MailError, CarrierError
   */
  ask(
    mailbox: MailboxAddress,
    name: ServerName,
    question: { user: UserId; devices: readonly string[] },
  ): Promise<ShelfAnswer>
}
