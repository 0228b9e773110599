/** Leaves one mail at relays of its recipient. */
import type { MailboxAddress, SealingKey } from '@plexus/core/names'
import type { Destination } from '../outbox/memory.ts'
import type { Clock, Federation, Log, Mailboxes, SealedMail, Sealer } from '../ports.ts'
import { MailError } from '../ports.ts'
import type { Contacts } from './contacts.ts'
import type { Draft } from './drafts.ts'
import { sealMail } from './sealing.ts'
import { MAIL_RETENTION_MS, type Contact } from './tables.ts'
import type { Trust } from './trust.ts'

/** Relays that a mail is left at. */
const MAIL_COPIES = 2
/** Milliseconds that the expiry of a mail is rounded to. */
const EXPIRY_STEP_MS = 3_600_000

export type LeavingDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly federation: Pick<Federation, 'encloseTransaction'>
  readonly mailboxes: Pick<Mailboxes, 'deposit'>
  readonly sealer: Sealer
  readonly contacts: Pick<Contacts, 'learn'>
  readonly trust: Trust
}

/** `expires`: when the first of the relays removes it. */
export type Left = { readonly relays: readonly string[]; readonly expires: number }

/**
 * Where a mail was left: `undefined` when no relay took it, `old-key` when a newer record of the recipient was learned,
 * `locked` when it is too long for a stranger, which the access key makes of us now.
 */
export type Leaving = (
  target: Destination,
  draft: Draft,
  contact: Contact,
) => Promise<Left | 'old-key' | 'locked' | undefined>

/** A number: it was taken, and is kept for so many milliseconds. */
type Attempt = number | 'old-key' | 'locked' | 'refused'

export function createLeaving(deps: LeavingDeps): Leaving {
  const { clock, log } = deps

  const seal = async (
    target: Destination,
    { txnId, lane, transaction }: Draft,
    { key, expires }: { key: SealingKey; expires: number },
  ): Promise<SealedMail> => {
    const content = { txnId, ...transaction }
    const enveloped = await deps.federation.encloseTransaction(target.name, content, expires)
    return sealMail(deps.sealer, enveloped, { lane, key, expires })
  }

  const leaveAt = async (
    mailbox: MailboxAddress,
    mail: SealedMail,
    access: string | undefined,
    isContact: boolean,
  ): Promise<Attempt> => {
    const laned: SealedMail = access === undefined ? { ...mail, lane: 'strangers' } : mail
    try {
      return await deps.mailboxes.deposit(mailbox, laned, access)
    } catch (error) {
      log.log('debug', 'a relay takes no mail', { relay: mailbox.peerId, error: String(error) })
      if (!(error instanceof MailError)) return 'refused'
      const { code, record } = error
      if (record?.record.name === mail.recipient && (await deps.contacts.learn(record))) return 'old-key'
      // Its owner gives others another key now.
      if (code === 'bad-access' && access !== undefined) return leaveAt(mailbox, mail, undefined, isContact)
      return code === 'too-large' && access === undefined && isContact ? 'locked' : 'refused'
    }
  }

  return async (target, draft, { signed: { record }, accessKey }) => {
    const now = clock.now()
    // To the millisecond it would tell how far this clock is off, and so which mails are of one sender.
    const expires = Math.floor((now + MAIL_RETENTION_MS) / EXPIRY_STEP_MS) * EXPIRY_STEP_MS
    const key = record.sealingKeys.find((key) => key.expires > now)
    if (key === undefined) return undefined
    const mail = await seal(target, draft, { key, expires })
    const candidates = inTurn(record.mailboxes, deps.trust)
    const relays: string[] = []
    const attempts = new Set<Attempt>()
    let keptMs = expires - now
    while (relays.length < MAIL_COPIES && candidates.length > 0) {
      const tried = candidates.splice(0, MAIL_COPIES - relays.length)
      const leave = (mailbox: MailboxAddress): Promise<Attempt> =>
        leaveAt(mailbox, mail, accessKey, accessKey !== undefined)
      const outcomes = await Promise.all(tried.map(leave))
      for (const [index, { peerId }] of tried.entries()) {
        const outcome = outcomes[index] ?? 'refused'
        attempts.add(outcome)
        if (typeof outcome !== 'number') continue
        relays.push(peerId)
        keptMs = Math.min(keptMs, outcome)
      }
    }
    if (relays.length > 0) return { relays, expires: now + keptMs }
    if (attempts.has('old-key')) return 'old-key'
    return attempts.has('locked') ? 'locked' : undefined
  }
}

/** Relays that keep mail for themselves come last. */
function inTurn(mailboxes: readonly MailboxAddress[], { isAvoided }: Trust): MailboxAddress[] {
  return mailboxes.toSorted((a, b) => Number(isAvoided(a.peerId)) - Number(isAvoided(b.peerId)))
}
