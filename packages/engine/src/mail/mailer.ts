/**
 * Leaves at relays what waits for a destination that cannot be reached. It runs in the destination's turn of the outbox, so
 * that nothing else moves its cursors meanwhile.
 *
 * Invariants:
 * 1. What was left is not delivered: cursors and queue stay until the destination tells what it has got, or takes it directly.
 * 2. The relay has a mail before the store says so: a crash in between leaves it again, and the receiver knows what it has.
 * 3. The mails of a room, of those not over, follow on each other without a gap from where its cursor was.
 */
import type { RoomId } from '@plexus/core'
import { accountRecords, isKeyName } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import type { Cursors } from '../outbox/cursors.ts'
import type { Deliveries } from '../outbox/deliveries.ts'
import type { Destination } from '../outbox/memory.ts'
import { edus } from '../outbox/memory.ts'
import { isOver, noteTaken } from '../outbox/transaction.ts'
import type { Log, Received } from '../ports.ts'
import type { Contacts } from './contacts.ts'
import { createDrafts, type Draft, type DraftDeps } from './drafts.ts'
import { createLeaving, type Left, type LeavingDeps } from './leaving.ts'
import { mails, type Contact, type MailRow } from './tables.ts'
import { createTrust, type Trust } from './trust.ts'

/** Times that one mail is sealed to a newer key, since a relay knows one. */
const MAX_RESEALS = 3

export type MailerDeps = DraftDeps &
  Omit<LeavingDeps, 'trust'> & {
    readonly committer: Committer
    readonly log: Log
    readonly incarnation: string
    readonly cursors: Cursors
    readonly deliveries: Deliveries
    readonly contacts: Pick<Contacts, 'get' | 'learn' | 'seek'>
  }

export interface Mailer {
  /** Leaves all that waits while `isWanted`. What cannot be left is logged. */
  leave(target: Destination, isWanted: () => boolean): Promise<void>
  /** Works off what the destination told of our mail; what the store does not take waits for the next time. Never rejects. */
  workOff(target: Destination): Promise<void>
}

export function createMailer(deps: MailerDeps): Mailer {
  const { committer, clock, log } = deps
  const trust = createTrust()
  const leaveDraft = createLeaving({ ...deps, trust })
  const nextDraft = createDrafts(deps)

  const noteLeft = async (target: Destination, { txnId, row, telling }: Draft, left: Left): Promise<void> => {
    if (row !== undefined) {
      const { rooms, edus } = row
      const next: MailRow = { rooms, ...(edus === undefined ? {} : { edus }), ...left, at: clock.now() }
      await committer.submit({
        writes: () => {
          // A server tells what it took whenever it likes, not in its turn: what is over by now is not noted any more.
          if (isOver(deps, target, next)) return []
          target.mail.rows.set(txnId, next)
          return [mails.put([target.name, txnId], next)]
        },
      })
      await deps.deliveries.moved(next.rooms)
    }
    await telling?.done()
  }

  /** Who takes no mail where it is known to do may take it elsewhere. */
  const findsNewer = async ({ signed: { record } }: Contact): Promise<boolean> => {
    const found = await deps.contacts.seek(record.name)
    return found !== undefined && accountRecords.isNewer(found.signed.record, record)
  }

  /** False when there is nothing to leave. What nobody takes keeps its lane from being tried, and not the other: each has its quota. */
  const leaveNext = async (target: Destination): Promise<boolean> => {
    const { stuck } = target.mail
    let isLockedOut = false
    let lane: Draft['lane'] = 'keys'
    for (let seals = 0; seals <= MAX_RESEALS; seals += 1) {
      const known = (await deps.contacts.get(target.name)) ?? (await deps.contacts.seek(target.name))
      const contact = isLockedOut && known !== undefined ? { signed: known.signed } : known
      const draft = contact === undefined ? undefined : await nextDraft(target, contact)
      if (contact === undefined || draft === undefined) return false
      lane = draft.lane
      const left = await leaveDraft(target, draft, contact)
      if (left === 'locked') isLockedOut = true
      if (left === 'locked' || left === 'old-key' || (left === undefined && (await findsNewer(contact))))
        continue
      if (left === undefined) break
      await noteLeft(target, draft, left)
      return true
    }
    stuck.add(lane)
    return true
  }

  return {
    async leave(target, isWanted) {
      // Stock servers have no mailboxes.
      if (!isKeyName(target.name)) return
      try {
        let more = true
        while (more && isWanted()) more = await leaveNext(target)
      } catch (error) {
        for (const lane of ['keys', 'events'] as const) target.mail.stuck.add(lane)
        log.log('warn', 'mail could not be left', { destination: target.name, error: String(error) })
      }
    },
    async workOff(target) {
      const { mail } = target
      try {
        for (let [news] = mail.news; news !== undefined; [news] = mail.news) {
          await noteArrived(deps, trust, { news, target })
          mail.news.shift()
        }
      } catch (error) {
        log.log('warn', 'what arrived of our mail was not noted', {
          destination: target.name,
          error: String(error),
        })
      }
    },
  }
}

/** Works off one thing that a destination told of our mail. */
async function noteArrived(
  deps: MailerDeps,
  trust: Trust,
  { news, target }: { news: Received; target: Destination },
): Promise<void> {
  if (news.incarnation !== deps.incarnation) return
  const { store, committer } = deps
  const { mail } = target
  const byRelay = new Map(Object.entries(news.transactions).map(([relay, ids]) => [relay, new Set(ids)]))
  const told = new Set(Object.values(news.transactions).flat())
  for (const [txnId, row] of mail.rows) {
    if (!told.has(txnId)) continue
    trust.arrived(row.relays, (relay) => byRelay.get(relay)?.has(txnId) === true)
    mail.arrivedAt = Math.max(mail.arrivedAt, row.at)
    mail.rows.set(txnId, { ...row, arrived: true })
  }
  const left = Math.max(0, ...[...mail.rows.values()].map(({ edus }) => edus?.sequence ?? 0))
  const taken = Math.max(0, Math.min(news.committed, left) - target.acknowledged)
  const rows = taken === 0 ? [] : await edus.list(store, [target.name], { limit: taken })
  await noteTaken(deps, target, { reached: reachedBy(mail.rows.values()), rows })
  await committer.submit({
    writes: () =>
      [...mail.rows].flatMap(([txnId, row]) => (told.has(txnId) ? mails.put([target.name, txnId], row) : [])),
  })
}

/** How far a destination has got in each room by mail: to the first that has not arrived. */
function reachedBy(rows: Iterable<MailRow>): ReadonlyMap<RoomId, number> {
  const tops = new Map<RoomId, number>()
  const missing = new Map<RoomId, number>()
  for (const { rooms, arrived } of rows) {
    for (const { roomId, from, to } of rooms) {
      tops.set(roomId, Math.max(to, tops.get(roomId) ?? 0))
      if (arrived !== true) missing.set(roomId, Math.min(from, missing.get(roomId) ?? from))
    }
  }
  return new Map([...tops].map(([roomId, top]) => [roomId, missing.get(roomId) ?? top]))
}
