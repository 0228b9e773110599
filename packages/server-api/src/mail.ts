/** Takes in requests that came by mail. Only transactions come so: nobody waits for the answer to anything else. */
import type { JsonObject, ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import { DURABLE_EDU_TYPES, RoomError, type InboundTransaction } from '@plexus/engine'
import {
  StoreError,
  type EnvelopedRequest,
  type Log,
  type MailHandler,
  type MailVerdict,
  type Received,
} from '@plexus/engine/ports'
import { ApiError } from './answer.ts'
import { authenticate } from './authenticate.ts'
import {
  MAIL_LIFETIME_MS,
  MAX_FAILING_MAILS,
  MAX_MAIL_ATTEMPTS,
  MAX_MERGED_EDUS,
  MAX_MERGED_PDUS,
} from './bounds.ts'
import { send, transactionBody, txnId } from './endpoints/send.ts'
import { bodyOf, pathOf } from './request.ts'
import { createRouter } from './router.ts'
import type { Services } from './services.ts'

export type MailDeps = Pick<Services, 'serverName' | 'verifier' | 'keys' | 'clock' | 'inbound'> & {
  readonly log: Log
}

const router = createRouter([send])

/** A proven transaction, and its place among the mails. */
type Mail = {
  readonly index: number
  /** Of its envelope: what the mail is known by when it comes again. */
  readonly signature: string
  readonly txnId: string
  readonly transaction: InboundTransaction & Required<Pick<InboundTransaction, 'ordered'>>
}

/** Any mail may come any number of times: events are known by their ids, durable EDUs by their sequence. */
export function createMailHandler(deps: MailDeps): MailHandler {
  const failed = createFailures(deps)
  return async (requests, turn) => {
    const verdicts: MailVerdict[] = requests.map(() => ({ kind: 'later' }))
    const byOrigin = new Map<ServerName, Mail[]>()
    const proven = await Promise.all(requests.map((request, index) => prove(deps, request, index)))
    for (const [index, mail] of proven.entries()) {
      if ('kind' in mail) verdicts[index] = mail
      else {
        const { origin } = mail.transaction
        byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), mail])
      }
    }
    if (turn === 'ahead') {
      const takeAhead = async (mails: readonly Mail[]): Promise<void> => {
        for (const mail of mails) if (await isTakenAhead(deps, mail)) verdicts[mail.index] = taken(mail)
      }
      await Promise.all([...byOrigin.values()].map(takeAhead))
      return verdicts
    }
    /** Answers with what was not wanted. */
    const takeGroup = async (group: readonly Mail[]): Promise<readonly (readonly Mail[])[]> => {
      const outcome = await take(deps, group)
      // Not all that came together fails for what one of them does.
      if (typeof outcome === 'object' && isFault(outcome.error) && group.length > 1)
        return takeGroups(group.map((mail) => [mail]))
      for (const mail of group)
        verdicts[mail.index] = typeof outcome === 'object' ? failed(mail, outcome.error) : taken(mail)
      return outcome === 'unwanted' ? [group] : []
    }
    const takeGroups = async (
      groups: readonly (readonly Mail[])[],
    ): Promise<readonly (readonly Mail[])[]> => {
      const unwanted: (readonly Mail[])[] = []
      for (const group of groups) unwanted.push(...(await takeGroup(group)))
      return unwanted
    }
    const unwanted = await Promise.all([...byOrigin.values()].map((mails) => takeGroups(grouped(mails))))
    // Mail of others that came with it may have let their servers in.
    await takeGroups(unwanted.flat())
    return verdicts
  }
}

function taken({ txnId, transaction: { origin, ordered, pdus, edus } }: Mail): MailVerdict {
  const isNews = pdus.length + edus.length > 0
  return { kind: 'taken', origin, incarnation: ordered.incarnation, txnId, isNews }
}

async function prove(deps: MailDeps, inbound: EnvelopedRequest, index: number): Promise<Mail | MailVerdict> {
  try {
    // The key of another name would have to be asked for, whoever names it.
    if (!isKeyName(inbound.request.origin)) return { kind: 'refused', why: 'the origin is no key' }
    const { request, envelope } = await authenticate({ ...deps, lifetimeMs: MAIL_LIFETIME_MS }, inbound)
    if (envelope === undefined) return { kind: 'refused', why: 'there is no envelope' }
    const { path, query } = router.route(request.method, request.uri)
    const open = { path, query, content: request.content }
    const body = bodyOf(open, transactionBody)
    const { incarnation, sequence = 0 } = envelope
    const transaction = {
      origin: request.origin,
      pdus: body.pdus,
      edus: sequence === 0 ? [] : body.edus.filter(isDurable),
      ordered: { incarnation, sequence, acknowledged: body['plexus.acknowledged'], byMail: true as const },
      ...receivedOf(body['plexus.received']),
    }
    return { index, signature: inbound.signature, txnId: pathOf(open, 'txnId', txnId), transaction }
  } catch (error) {
    if (error instanceof ApiError) return { kind: 'refused', why: error.message }
    if (error instanceof StoreError) return { kind: 'later' }
    // Nobody vouches for it: it has no claim to be tried again.
    deps.log.log('error', 'a mail could not be read', { error: String(error) })
    return { kind: 'refused', why: 'a fault' }
  }
}

const receivedOf = (received: Received | undefined): { received?: Received } =>
  received === undefined ? {} : { received }

function isDurable({ edu_type: type }: JsonObject): boolean {
  return typeof type === 'string' && DURABLE_EDU_TYPES.has(type)
}

/** Neighbours that say the same as one transaction, so that they share their commits. */
function grouped(mails: readonly Mail[]): readonly (readonly Mail[])[] {
  const groups: Mail[][] = []
  let pdus = 0
  let edus = 0
  for (const mail of mails) {
    const group = groups.at(-1)
    const last = group?.at(-1)
    const own = mail.transaction
    pdus += own.pdus.length
    edus += own.edus.length
    if (
      group !== undefined &&
      last !== undefined &&
      pdus <= MAX_MERGED_PDUS &&
      edus <= MAX_MERGED_EDUS &&
      follows(own, last.transaction)
    ) {
      group.push(mail)
      continue
    }
    groups.push([mail])
    pdus = own.pdus.length
    edus = own.edus.length
  }
  return groups
}

/**
 * True when the durable EDUs of `next` come right after those of `last`. Events do not go before EDUs that were left first:
 * an invite may be among these.
 */
function follows(next: Mail['transaction'], last: Mail['transaction']): boolean {
  if (next.received !== undefined || last.received !== undefined) return false
  if (last.edus.length > 0 && next.pdus.length > 0) return false
  if (next.edus.length === 0 && last.edus.length === 0) return true
  return (
    next.edus.length > 0 &&
    last.edus.length > 0 &&
    next.ordered.incarnation === last.ordered.incarnation &&
    next.ordered.sequence - next.edus.length === last.ordered.sequence
  )
}

/** The error where it is not taken; `unwanted` when some of its events are refused, or of rooms that are not known. */
async function take(
  deps: MailDeps,
  group: readonly Mail[],
): Promise<{ readonly error: unknown } | 'taken' | 'unwanted'> {
  const last = group.at(-1)?.transaction
  if (last === undefined) return 'taken'
  const pdus = group.flatMap(({ transaction }) => transaction.pdus)
  const edus = group.flatMap(({ transaction }) => transaction.edus)
  const { ordered, ...rest } = last
  try {
    const numbered = edus.length === 0 ? {} : { ordered }
    const answer = await deps.inbound.transaction({ ...rest, pdus, edus, ...numbered })
    const verdicts = Object.values(answer.pdus)
    const isWanted = verdicts.length >= pdus.length && verdicts.every(({ error }) => error === undefined)
    return isWanted ? 'taken' : 'unwanted'
  } catch (error) {
    return { error }
  }
}

/** What fails is met again in its turn. */
async function isTakenAhead(deps: MailDeps, mail: Mail): Promise<boolean> {
  const isNext = await deps.inbound.isNext(mail.transaction).catch(() => false)
  return isNext && (await take(deps, [mail])) === 'taken'
}

const isFault = (error: unknown): boolean => !(error instanceof StoreError || error instanceof RoomError)

/**
 * What is to become of a mail that was not taken. One that fails by a fault of this node is tried a few times before it is given up:
 * its origin hears nothing of it, and leaves it again.
 */
function createFailures({ log }: MailDeps): (mail: Mail, error: unknown) => MailVerdict {
  /** By signature. None is forgotten: that bounds what faults may delay. */
  const attempts = new Map<string, number>()
  return ({ signature, transaction: { origin } }, error) => {
    if (error instanceof StoreError) return { kind: 'later' }
    // Its own transactions wait: who keeps them waiting delays no mail but its own, which it sends again.
    if (error instanceof RoomError) return { kind: 'refused', why: error.message }
    const attempt = (attempts.get(signature) ?? 0) + 1
    const isWatched = attempt > 1 || attempts.size < MAX_FAILING_MAILS
    if (isWatched) attempts.set(signature, attempt)
    const isGivenUp = !isWatched || attempt >= MAX_MAIL_ATTEMPTS
    log.log('error', 'a mail could not be taken in', { origin, attempt, isGivenUp, error: String(error) })
    return isGivenUp ? { kind: 'refused', why: 'a fault' } : { kind: 'later' }
  }
}
