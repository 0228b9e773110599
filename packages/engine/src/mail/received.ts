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
export const MAX_TOLD_RELAYS = 8

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
  /** By origin: incarnation and transaction id. */
  const untold = new Map<ServerName, Set<string>>()
  let all = 0
  const keyOf = (incarnation: string, txnId: string): string => `${incarnation} ${txnId}`
  const add = (origin: ServerName, key: string): boolean => {
    const keys = untold.get(origin) ?? new Set()
    if (keys.has(key)) return true
    if (keys.size >= MAX_UNTOLD_OF_ORIGIN || all >= MAX_UNTOLD) return false
    untold.set(origin, keys.add(key))
    all += 1
    return true
  }
  const remove = (origin: ServerName, key: string): void => {
    const keys = untold.get(origin)
    if (keys?.delete(key) !== true) return
    all -= 1
    if (keys.size === 0) untold.delete(origin)
  }
  for (const [[origin, incarnation, txnId]] of await received.list(store, []))
    add(origin, keyOf(incarnation, txnId))

  return {
    note({ origin, incarnation, txnId, relay }) {
      const isKept = add(origin, keyOf(incarnation, txnId))
      return isKept ? [received.put([origin, incarnation, txnId], [relay])] : []
    },
    async again({ origin, incarnation, txnId, relay }) {
      const relays = await received.get(store, [origin, incarnation, txnId])
      if (relays === undefined || relays.includes(relay)) return []
      return [received.put([origin, incarnation, txnId], [...relays, relay])]
    },
    get origins() {
      return [...untold.keys()]
    },
    async gather(origin) {
      const found = await received.list(store, [origin], { limit: MAX_TOLD_MAILS })
      const incarnation = found[0]?.[0][1]
      if (incarnation === undefined) return undefined
      // Two stores of one origin are told one after the other.
      const rows = found.filter(([[, of]]) => of === incarnation)
      const transactions = byRelay(rows.map(([[, , txnId], relays]) => ({ txnId, relays })))
      const isTold = new Set([...transactions.values()].flat())
      const told = rows.filter(([[, , txnId]]) => isTold.has(txnId))
      const committed = await committedOf(store, origin, incarnation)
      return {
        received: { incarnation, committed, transactions: Object.fromEntries(transactions) },
        async done() {
          await committer.submit({ writes: () => told.map(([key]) => received.delete(key)) })
          for (const [[, , txnId]] of told) remove(origin, keyOf(incarnation, txnId))
        },
      }
    },
  }
}

/** The mails that each relay brought, of as many relays as one transaction tells; those that others alone brought are told next. */
function byRelay(
  mails: readonly { readonly txnId: string; readonly relays: readonly string[] }[],
): ReadonlyMap<string, readonly string[]> {
  const transactions = new Map<string, string[]>()
  for (const { txnId, relays } of mails) {
    for (const relay of relays) {
      const ids = transactions.get(relay) ?? []
      if (ids.length === 0 && transactions.size === MAX_TOLD_RELAYS) continue
      transactions.set(relay, ids)
      ids.push(txnId)
    }
  }
  return transactions
}
