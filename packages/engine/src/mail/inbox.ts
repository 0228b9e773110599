/**
 * Fetches the mail of this node from its relays. A relay is believed in nothing: what it brings is opened and proven, and
 * it may hold back, repeat or reorder it without harm.
 *
 * Invariants:
 * 1. A mail is acknowledged at a relay after what it says is on disk.
 * 2. A mail that can never be taken does not keep those behind it; one that the store has no room for does.
 * 3. After some absence what came last is looked at first: the newest message need not wait for all that came in the meantime. It
 *    counts as come in its turn only, or its origin would take all that it left before for lost, and leave it again.
 * 4. Nothing is acknowledged once another device has the account.
 */
import { encodeBase64 } from '@plexus/core'
import { sha256 } from '@noble/hashes/sha2.js'
import type { Committer } from '../kernel/committer.ts'
import { createLru } from '../kernel/lru.ts'
import { createMutex } from '../kernel/mutex.ts'
import { createSteady } from '../kernel/steady.ts'
import type { Clock, KeptMail, Log, MailHandler, Mailboxes, MailVerdict, Sealer, Write } from '../ports.ts'
import type { EnvelopedRequest } from '../ports.ts'
import type { OwnMailboxes } from './own-mailboxes.ts'
import type { CameByMail, ReceivedQueue } from './received.ts'
import { openMail } from './sealing.ts'
import type { SealingKeys } from './sealing-keys.ts'

/** Mails that are known when another relay brings them too. */
export const MAX_KNOWN_MAILS = 20_000
/** Answers of a relay in one go; it is asked again later for more. */
export const MAX_FETCHES = 2_000
/** Mails of a relay in one go that come to nothing. */
export const MAX_USELESS_MAILS = 2_000
/** A relay that was not asked for so long may have much. */
const ABSENCE_MS = 10 * 60_000

export type InboxDeps = {
  readonly clock: Clock
  readonly committer: Committer
  readonly log: Log
  readonly sealer: Sealer
  readonly mailboxes: Pick<Mailboxes, 'fetch' | 'acknowledge'>
  readonly own: OwnMailboxes
  readonly keys: Pick<SealingKeys, 'pair'>
  readonly received: ReceivedQueue
  /** The mail is for another device by now. */
  readonly isReplaced: () => boolean
}

export interface Inbox {
  /** Takes the mail that waits at a relay; false when some is left. @throws MailError, CarrierError, StoreError */
  drain(relay: string, handle: MailHandler): Promise<boolean>
}

type Hashed = KeptMail & { readonly hash: string }
type Opened = { readonly hash: string; readonly enveloped: EnvelopedRequest }

export function createInbox(deps: InboxDeps): Inbox {
  const { committer, log, own } = deps
  const steady = createSteady(deps.clock)
  /** By hash; absent for one that came to nothing. */
  const known = createLru<string, Omit<CameByMail, 'relay'> | 'useless'>(MAX_KNOWN_MAILS)
  const turns = createMutex()
  /** When a relay was asked last; as many as keep a mailbox. */
  const asked = new Map<string, number>()

  const open = async ({ mail, hash }: Hashed): Promise<Opened | undefined> => {
    const pair = deps.keys.pair(mail.keyId)
    const enveloped = pair === undefined ? undefined : await openMail(deps.sealer, pair, mail)
    return enveloped === undefined ? undefined : { hash, enveloped }
  }

  const openFresh = async (
    batch: readonly Hashed[],
  ): Promise<{ readonly fresh: readonly Hashed[]; readonly opened: readonly Opened[] }> => {
    const fresh = batch.filter(({ hash }) => known.get(hash) === undefined)
    const opened = await Promise.all(fresh.map(open))
    return { fresh, opened: opened.filter((mail) => mail !== undefined) }
  }

  /** What a mail leaves behind beside its content. */
  const note = (relay: string, hash: string, verdict: MailVerdict): readonly Write[] => {
    if (verdict.kind !== 'taken' || !verdict.isNews) {
      known.set(hash, 'useless')
      return []
    }
    const { origin, incarnation, txnId } = verdict
    known.set(hash, { origin, incarnation, txnId })
    return deps.received.note({ origin, incarnation, txnId, relay })
  }

  /** Answers with how many came to nothing; `undefined` when the store takes nothing at present. */
  const take = async (
    relay: string,
    batch: readonly Hashed[],
    handle: MailHandler,
  ): Promise<number | undefined> => {
    const cursor = batch.at(-1)?.cursor ?? 0
    const { fresh, opened } = await openFresh(batch)
    const verdicts = opened.length === 0 ? [] : await handle(opened.map(({ enveloped }) => enveloped))
    if (verdicts.some(({ kind }) => kind === 'later')) return undefined
    const writes: Write[] = []
    for (const { hash } of batch) {
      const before = known.get(hash)
      if (before !== undefined && before !== 'useless')
        writes.push(...(await deps.received.again({ ...before, relay })))
    }
    for (const [index, { hash }] of opened.entries()) {
      const verdict = verdicts[index]
      if (verdict !== undefined) writes.push(...note(relay, hash, verdict))
    }
    const { writes: progress, publish } = own.moved(relay, cursor)
    // Takes along what the mails left, and only then the relay is told.
    await committer.submit({ durability: 'strict', writes: () => [...writes, ...progress], publish })
    const refused = verdicts.filter(({ kind }) => kind === 'refused').length
    return fresh.length - opened.length + refused
  }

  const glance = async (relay: string, cursor: number, handle: MailHandler): Promise<void> => {
    if (steady() - (asked.get(relay) ?? Number.NEGATIVE_INFINITY) < ABSENCE_MS) return
    const batch = inOrder(await deps.mailboxes.fetch(relay, cursor, 'last'), cursor)
    await turns.run(async () => {
      const { opened } = await openFresh(batch)
      if (opened.length > 0)
        await handle(
          opened.map(({ enveloped }) => enveloped),
          'ahead',
        )
    })
  }

  return {
    async drain(relay, handle) {
      const registered = own.get(relay)?.registered ?? 0
      let cursor = own.get(relay)?.cursor ?? 0
      await glance(relay, cursor, handle)
      asked.set(relay, steady())
      let useless = 0
      let next = deps.mailboxes.fetch(relay, cursor)
      let acknowledged = Promise.resolve()
      for (let fetches = 0; fetches < MAX_FETCHES && useless <= MAX_USELESS_MAILS; fetches += 1) {
        const batch = inOrder(await next, cursor)
        const last = batch.at(-1)
        if (last === undefined) {
          await acknowledged
          await own.drained(relay, registered)
          return true
        }
        cursor = last.cursor
        next = deps.mailboxes.fetch(relay, cursor)
        // Its failure is met where it is waited for.
        next.catch(() => undefined)
        const lost = await turns.run(() => take(relay, batch, handle))
        if (lost === undefined || deps.isReplaced()) {
          await acknowledged
          return false
        }
        useless += lost
        if (lost > 0) log.log('warn', 'mail came to nothing', { relay, mails: lost })
        const taken = cursor
        // The next ones need not wait for the relay's answer.
        acknowledged = acknowledged.then(() => deps.mailboxes.acknowledge(relay, taken))
        acknowledged.catch(() => undefined)
      }
      await acknowledged
      log.log('warn', 'a relay has more mail than is read in one go', { relay, useless })
      return false
    },
  }
}

/** What comes after the cursor, as far as it rises. */
function inOrder(batch: readonly KeptMail[], cursor: number): readonly Hashed[] {
  let last = cursor
  const rising: Hashed[] = []
  for (const kept of batch) {
    if (kept.cursor <= last) continue
    last = kept.cursor
    rising.push({ ...kept, hash: encodeBase64(sha256(kept.mail.bytes)) })
  }
  return rising
}
