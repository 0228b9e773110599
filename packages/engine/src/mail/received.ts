/**
 * Mail that came, until its origin was told: that is what moves the origin's message from "at relay" to "delivered". Told
 * with the next transaction to the origin, many at once.
 */
import type { ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { committedOf } from '../inbound.ts'
import type { Received, Store, Write } from '../ports.ts'
import { received } from './tables.ts'

/** Mails that wait for their origin to be told: of one origin, and of all. What is beyond is not told, and comes again. */
export const MAX_UNTOLD_OF_ORIGIN = 10_000
export const MAX_UNTOLD = 50_000
/** Mails in one transaction, and relays that brought them. */
export const MAX_TOLD_MAILS = 500
const MAX_TOLD_RELAYS = 8

export type CameByMail = {
  readonly origin: ServerName
  readonly incarnation: string
  readonly txnId: string
  /** Peer id. */
  readonly relay: string
}

/** What one transaction tells. */
export type Telling = {
  readonly received: Received
  /** Notes that it was told. */
  done(): Promise<void>
}

export interface ReceivedQueue {
  /** The writes that remember a mail until its origin was told. */
  note(mail: CameByMail): readonly Write[]
  /** Another relay brought a mail that is known: told too, if its origin has not been told of the mail itself. */
  again(mail: CameByMail): Promise<readonly Write[]>
  isDue(origin: ServerName): boolean
  /** Those who are to be told something. */
  readonly origins: readonly ServerName[]
  gather(origin: ServerName): Promise<Telling | undefined>
}

export async function loadReceivedQueue({
  store,
  committer,
}: {
  store: Store
  committer: Committer
}): Promise<ReceivedQueue> {
  const counts = new Map<ServerName, number>()
  let all = 0
  const count = (origin: ServerName, more: number): void => {
    const next = (counts.get(origin) ?? 0) + more
    all += more
    if (next > 0) counts.set(origin, next)
    else counts.delete(origin)
  }
  for (const [[origin]] of await received.list(store, [])) count(origin, 1)

  return {
    note({ origin, incarnation, txnId, relay }) {
      if ((counts.get(origin) ?? 0) >= MAX_UNTOLD_OF_ORIGIN || all >= MAX_UNTOLD) return []
      count(origin, 1)
      return [received.put([origin, incarnation, txnId], [relay])]
    },
    async again({ origin, incarnation, txnId, relay }) {
      const relays = await received.get(store, [origin, incarnation, txnId])
      if (relays === undefined || relays.includes(relay)) return []
      return [received.put([origin, incarnation, txnId], [...relays, relay])]
    },
    isDue: (origin) => counts.has(origin),
    get origins() {
      return [...counts.keys()]
    },
    async gather(origin) {
      const found = await received.list(store, [origin], { limit: MAX_TOLD_MAILS })
      const incarnation = found[0]?.[0][1]
      if (incarnation === undefined) return undefined
      // Two stores of one origin are told one after the other.
      const rows = found.filter(([[, of]]) => of === incarnation)
      const transactions = new Map<string, string[]>()
      for (const [[, , txnId], relays] of rows) {
        for (const relay of relays) {
          const ids = transactions.get(relay) ?? []
          if (ids.length === 0 && transactions.size === MAX_TOLD_RELAYS) continue
          transactions.set(relay, ids)
          ids.push(txnId)
        }
      }
      const committed = await committedOf(store, origin, incarnation)
      return {
        received: { incarnation, committed, transactions: Object.fromEntries(transactions) },
        async done() {
          await committer.submit({ writes: () => rows.map(([key]) => received.delete(key)) })
          count(origin, -rows.length)
        },
      }
    },
  }
}
