/** What a relay's operator allows mailboxes, and what of a mail is checked before it is kept. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { decodeBase64, type ServerName } from '@plexus/core'
import type { MailLane, MailRefusal } from '@plexus/engine/ports'
import { dayOf, isProof, MAX_STRANGER_MAIL_BYTES, type Deposit } from '@plexus/p2p/wire'
import { PROOF_DAYS } from '../limits.ts'
import type { LaneQuota, Mailbox } from './mail-store.ts'

/** Who may have a mailbox. */
export type MailRegistration =
  | { readonly mode: 'open' }
  | { readonly mode: 'token'; readonly token: string }
  | { readonly mode: 'list'; readonly names: ReadonlySet<string> }

export type MailPolicy = {
  readonly registration: MailRegistration
  readonly maxMailboxes: number
  /** Milliseconds that a mail is kept at most. */
  readonly retentionMs: number
  /** Of each recipient. */
  readonly quotas: Readonly<Record<MailLane, LaneQuota>>
  /** Zero bits of the proof of work that strangers make for each mail: 16 are some tenths of a second. */
  readonly proofBits: number
  /** Mails of 4 KiB that one address may leave a second over time, and at once; a larger one counts as many. */
  readonly depositsPerSecond: number
  readonly depositBurst: number
}

const MIB = 1024 * 1024

export const DEFAULT_MAIL_POLICY: MailPolicy = {
  registration: { mode: 'open' },
  maxMailboxes: 10_000,
  retentionMs: 30 * 24 * 3_600_000,
  quotas: {
    keys: { mails: 10_000, bytes: 64 * MIB },
    events: { mails: 20_000, bytes: 128 * MIB },
    strangers: { mails: 200, bytes: 8 * MIB },
  },
  proofBits: 16,
  depositsPerSecond: 200,
  depositBurst: 4_000,
}

/** Whether a name may register. `isNew`: it has no mailbox yet. */
export function admits(
  registration: MailRegistration,
  {
    name,
    token,
    isNew,
  }: { readonly name: ServerName; readonly token: string | undefined; readonly isNew: boolean },
): boolean {
  if (registration.mode === 'list') return registration.names.has(name)
  if (registration.mode === 'open' || !isNew) return true
  return token !== undefined && isSame(sha256(token), sha256(registration.token))
}

export type DepositFacts = {
  /** Peer id of this relay. */
  readonly relay: string
  readonly now: number
  readonly mailbox: Mailbox
  /** Unpadded URL-safe base64 of the SHA-256 of the mail's bytes. */
  readonly mailHash: string
  readonly proofBits: number
}

/** Why a mail is not taken, whatever room there is; `undefined` when it may be. */
export function depositFault({ mail, access }: Deposit, facts: DepositFacts): MailRefusal | undefined {
  const { mailbox, now } = facts
  const { record } = mailbox.record
  if (record.tombstone !== undefined || record.expires <= now) return 'unknown-recipient'
  if (mail.expires <= now) return 'nonsense'
  if (mail.lane === 'strangers' && mail.bytes.length > MAX_STRANGER_MAIL_BYTES) return 'too-large'
  if (!record.sealingKeys.some(({ id, expires }) => id === mail.keyId && expires > now)) return 'old-key'
  const isStranger = !('accessKey' in access)
  if (isStranger !== (mail.lane === 'strangers')) return 'bad-access'
  if (!isStranger) {
    const key = decodeBase64(access.accessKey) ?? new Uint8Array(0)
    return isSame(sha256(key), mailbox.accessKeyHash) ? undefined : 'bad-access'
  }
  const { day, nonce } = access.proof
  if (Math.abs(day - dayOf(now)) > PROOF_DAYS) return 'bad-access'
  const subject = { relay: facts.relay, recipient: mail.recipient, mailHash: facts.mailHash, day }
  return isProof(subject, nonce, facts.proofBits) ? undefined : 'bad-access'
}

function sha256(data: string | Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest()
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}
