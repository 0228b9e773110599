/** What the next mail to a destination holds. */
import type { JsonObject, RoomId } from '@plexus/core'
import type { Destination, OutboxMemory } from '../outbox/memory.ts'
import { edus, MAX_TRANSACTION_PDUS } from '../outbox/memory.ts'
import type { TransactionDeps } from '../outbox/transaction.ts'
import { collectPdus, countFitting, MAX_TRANSACTION_EDUS } from '../outbox/transaction.ts'
import type { Clock, OutgoingTransaction, Store } from '../ports.ts'
import type { ReceivedQueue, Telling } from './received.ts'
import type { Contact, MailRow } from './tables.ts'

/** A mail that has not arrived by so long before its expiry is left again: also by who comes once a week, before it expires. */
export const RENEW_BEFORE_MS: number = 10 * 24 * 3_600_000
/** A mail that was left so long before another one that has arrived is lost. */
export const LOST_AFTER_MS = 600_000
/** Bytes of events or EDUs in a mail, so that it fits the bucket of 256 KiB; of a stranger, of 64 KiB. */
const MAX_MAIL_LENGTH: number = 240 * 1024
const MAX_STRANGER_LENGTH: number = 50 * 1024
export type DraftDeps = Pick<TransactionDeps, 'loadEvents' | 'transactionId'> & {
  readonly store: Store
  readonly clock: Clock
  readonly memory: OutboxMemory
  readonly received: ReceivedQueue
}

/** A mail that is to be left. */
export type Draft = {
  readonly txnId: string
  /** Of a sender that is no stranger. */
  readonly lane: 'keys' | 'events'
  readonly transaction: Omit<OutgoingTransaction, 'txnId'>
  /** Absent for one that only tells what came: nobody tells that it came. */
  readonly row?: Pick<MailRow, 'rooms' | 'edus'>
  readonly telling?: Telling
}

/**
 * What is to be left next, in lanes that are not stuck: a mail that is to be left again, else EDUs, else events, and word of what
 * came.
 */
export function createDrafts(
  deps: DraftDeps,
): (target: Destination, contact: Contact) => Promise<Draft | undefined> {
  const { store, clock, memory } = deps

  const eventsDraft = async (target: Destination, maxLength: number): Promise<Draft | undefined> => {
    const left = new Map<RoomId, number>()
    for (const { rooms } of target.mail.rows.values())
      for (const { roomId, to } of rooms) left.set(roomId, Math.max(to, left.get(roomId) ?? 0))
    const after = ({ cursor }: { cursor: number }, roomId: RoomId): number =>
      Math.max(cursor, left.get(roomId) ?? 0)
    const portion = { limit: MAX_TRANSACTION_PDUS, maxLength, after }
    const { pdus, reached } = await collectPdus(deps, target, portion)
    if (pdus.length === 0) return undefined
    const rooms = [...reached].map(([roomId, to]) => {
      const record = target.rooms.get(roomId)
      return { roomId, from: record === undefined ? to : after(record, roomId), to }
    })
    return { txnId: deps.transactionId(), lane: 'events', transaction: { pdus, edus: [] }, row: { rooms } }
  }

  const edusDraft = async (target: Destination, maxLength: number): Promise<Draft | undefined> => {
    if (target.lastEdu === 0) return undefined
    const left = [...target.mail.rows.values()].flatMap(({ edus }) => edus ?? [])
    const from = Math.max(0, ...left.map(({ to }) => to)) + 1
    const before = Math.max(target.acknowledged, ...left.map(({ sequence }) => sequence))
    const limit = { limit: MAX_TRANSACTION_EDUS }
    const found = await edus.range(store, [target.name], from, target.lastEdu + 1, limit)
    const rows = found.slice(0, countFitting(found, maxLength))
    const first = rows[0]?.[0][1]
    const last = rows.at(-1)?.[0][1]
    if (first === undefined || last === undefined) return undefined
    const sequence = before + rows.length
    const transaction = transactionOf(
      target,
      rows.map(([, edu]) => edu),
      sequence,
    )
    return {
      txnId: deps.transactionId(),
      lane: 'keys',
      transaction,
      row: { rooms: [], edus: { from: first, to: last, sequence } },
    }
  }

  /** A mail that is to be left once more, made anew of the same events or EDUs. */
  const again = async (target: Destination, txnId: string, row: MailRow): Promise<Draft> => {
    if (row.edus !== undefined) {
      const { from, to, sequence } = row.edus
      const found = await edus.range(store, [target.name], from, to + 1)
      const transaction = transactionOf(
        target,
        found.map(([, edu]) => edu),
        sequence,
      )
      return { txnId, lane: 'keys', transaction, row }
    }
    const ids = await Promise.all(
      row.rooms.map(({ roomId, from, to }) => memory.sentBetween(roomId, from, to, MAX_TRANSACTION_PDUS)),
    )
    const inOrder = ids.flat().toSorted(([a], [b]) => a - b)
    const records = await deps.loadEvents(inOrder.map(([, id]) => id))
    const pdus = records.flatMap((record): JsonObject[] => (record === undefined ? [] : [record.pdu]))
    return { txnId, lane: 'events', transaction: { pdus, edus: [] }, row }
  }

  return async (target, contact) => {
    const now = clock.now()
    const { rows, stuck, arrivedAt } = target.mail
    const isOpen = ({ edus }: MailRow): boolean => !stuck.has(edus === undefined ? 'events' : 'keys')
    for (const [txnId, row] of rows)
      if (isOpen(row) && isDue(row, arrivedAt, contact, now)) return again(target, txnId, row)
    const maxLength = contact.accessKey === undefined ? MAX_STRANGER_LENGTH : MAX_MAIL_LENGTH
    const telling = await deps.received.gather(target.name)
    const draft =
      (stuck.has('keys') ? undefined : await edusDraft(target, maxLength)) ??
      (stuck.has('events') ? undefined : await eventsDraft(target, maxLength))
    if (telling === undefined || (draft === undefined && stuck.has('keys'))) return draft
    const alone: Draft = { txnId: deps.transactionId(), lane: 'keys', transaction: EMPTY }
    const { transaction, ...rest } = draft ?? alone
    return { ...rest, transaction: { ...transaction, received: telling.received }, telling }
  }
}

const EMPTY = { pdus: [], edus: [] }

function transactionOf(
  { acknowledged }: Destination,
  edus: readonly JsonObject[],
  sequence: number,
): Draft['transaction'] {
  return { pdus: [], edus, sequence, acknowledged }
}

/** True for a mail that is to be left again. */
export function isDue(row: MailRow, arrivedAt: number, { signed }: Contact, now: number): boolean {
  const { at, expires, relays, edus, arrived } = row
  // Its EDUs wait for those of a mail before it, or it would be over.
  if (arrived === true) return edus !== undefined && at + LOST_AFTER_MS < now
  const { mailboxes } = signed.record
  if (mailboxes.length === 0) return false
  const isNamed = mailboxes.some(({ peerId }) => relays.includes(peerId))
  const renewBefore = Math.min(RENEW_BEFORE_MS, (expires - at) / 2)
  // One of the future was sealed before the clock was set back, with an expiry that nobody takes.
  if (at > now + LOST_AFTER_MS) return true
  return !isNamed || at + LOST_AFTER_MS < arrivedAt || now > expires - renewBefore
}
