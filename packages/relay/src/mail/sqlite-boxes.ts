/** The rows of mailboxes in the SQLite database of a mail store. */
import type { DatabaseSync } from 'node:sqlite'
import type { JsonValue, ServerName } from '@plexus/core'
import { accountRecords, type SignedAccountRecord } from '@plexus/core/names'
import { StoreError, type MailLane } from '@plexus/engine/ports'
import { MAX_CACHED_MAILBOXES, REMOVALS_PER_COMMIT } from '../limits.ts'
import { LANES, type Mailbox, type MailTotals } from './mail-store.ts'

/** What is remembered of a mailbox: its row, and what its lanes hold. */
export type Box = {
  readonly id: number
  readonly mailbox: Mailbox
  last: number
  readonly used: Record<MailLane, { mails: number; bytes: number }>
}

export type Removed = { box: number; cursor: number; lane: number; size: number }

/** Mailboxes without their mail, and what is remembered of them. */
export interface Boxes {
  get(name: ServerName): Box | undefined
  put(mailbox: Mailbox, maxMailboxes: number): Box | undefined
  /** Removes some empty mailboxes whose record expired; answers how many. */
  expire(now: number): number
  /** Mail was put into a mailbox, or removed. */
  added(box: Box, mail: { cursor: number; lane: MailLane; size: number }): void
  removed(mail: Removed): void
  totals(): MailTotals
  /** What is remembered counts no more. */
  forget(): void
}

/** `gone`: the row of a mailbox is removed, and what hangs on it is to go too. */
export function createBoxes(database: DatabaseSync, gone: (id: number) => void): Boxes {
  /** The least lately used is forgotten first. */
  const remembered = new Map<ServerName, Box>()
  const byId = new Map<number, Box>()
  const select = database.prepare('SELECT id, record, access, last FROM box WHERE name = ?')
  const highest = database.prepare('SELECT MAX(cursor) AS cursor FROM mail WHERE box = ?')
  const usage = database.prepare(
    'SELECT lane, COUNT(*) AS mails, SUM(size) AS bytes FROM mail WHERE box = ? GROUP BY lane',
  )
  const all = database.prepare('SELECT COUNT(*) AS mails, COALESCE(SUM(size), 0) AS bytes FROM mail')
  const count = database.prepare('SELECT COUNT(*) AS count FROM box')
  const insert = database.prepare(
    'INSERT INTO box (name, record, access, expires, last) VALUES (?, ?, ?, ?, 0)',
  )
  const update = database.prepare('UPDATE box SET record = ?, access = ?, expires = ? WHERE id = ?')
  const raise = database.prepare('UPDATE box SET last = MAX(last, ?) WHERE id = ?')
  const idle = database.prepare(
    `SELECT id, name FROM box WHERE expires <= ? AND NOT EXISTS (SELECT 1 FROM mail WHERE box = box.id)
      LIMIT ${REMOVALS_PER_COMMIT}`,
  )
  const remove = database.prepare('DELETE FROM box WHERE id = ?')
  const removeDevices = database.prepare('DELETE FROM device WHERE box = ?')

  /** Of all mail, counted once and kept up since. */
  let total: { mails: number; bytes: number } | undefined

  function load(name: ServerName): Box | undefined {
    const row = select.get(name) as
      | { id: number; record: string; access: Uint8Array; last: number }
      | undefined
    if (row === undefined) return undefined
    const { cursor } = highest.get(row.id) as { cursor: number | null }
    const used = { keys: none(), events: none(), strangers: none() }
    for (const { lane, mails, bytes } of usage.all(row.id) as {
      lane: number
      mails: number
      bytes: number
    }[])
      used[laneAt(lane)] = { mails, bytes }
    const mailbox = { record: recordIn(row.record), accessKeyHash: row.access }
    return { id: row.id, mailbox, last: Math.max(row.last, cursor ?? 0), used }
  }

  function remember(name: ServerName, box: Box): Box {
    remembered.delete(name)
    remembered.set(name, box)
    byId.set(box.id, box)
    const [oldest] = remembered
    if (oldest !== undefined && remembered.size > MAX_CACHED_MAILBOXES) drop(...oldest)
    return box
  }

  function drop(name: ServerName, { id }: Pick<Box, 'id'>): void {
    remembered.delete(name)
    byId.delete(id)
  }

  function get(name: ServerName): Box | undefined {
    const box = remembered.get(name) ?? load(name)
    return box === undefined ? undefined : remember(name, box)
  }

  return {
    get,
    put(mailbox, maxMailboxes) {
      const { record } = mailbox.record
      const text = JSON.stringify(accountRecords.json(mailbox.record))
      const known = get(record.name)
      if (known === undefined) {
        if ((count.get() as { count: number }).count >= maxMailboxes) return undefined
        insert.run(record.name, text, mailbox.accessKeyHash, record.expires)
        return get(record.name)
      }
      const isSame = known.mailbox.record.signature === mailbox.record.signature
      if (!isSame && !accountRecords.isNewer(record, known.mailbox.record.record)) return known
      const isSameKey = Buffer.compare(known.mailbox.accessKeyHash, mailbox.accessKeyHash) === 0
      // Whoever comes back with what is there comes in also where the disk is full.
      if (!isSame || !isSameKey) update.run(text, mailbox.accessKeyHash, record.expires, known.id)
      return remember(record.name, { ...known, mailbox })
    },
    expire(now) {
      const rows = idle.all(now) as { id: number; name: ServerName }[]
      for (const row of rows) {
        drop(row.name, row)
        removeDevices.run(row.id)
        gone(row.id)
        remove.run(row.id)
      }
      return rows.length
    },
    added(box, { cursor, lane, size }) {
      box.last = cursor
      box.used[lane].mails += 1
      box.used[lane].bytes += size
      if (total !== undefined) total = { mails: total.mails + 1, bytes: total.bytes + size }
    },
    removed({ box: id, cursor, lane, size }) {
      raise.run(cursor, id)
      if (total !== undefined) total = { mails: total.mails - 1, bytes: total.bytes - size }
      const used = byId.get(id)?.used[laneAt(lane)]
      if (used === undefined) return
      used.mails -= 1
      used.bytes -= size
    },
    totals() {
      total ??= all.get() as { mails: number; bytes: number }
      return { mailboxes: (count.get() as { count: number }).count, mails: total.mails, bytes: total.bytes }
    },
    forget() {
      total = undefined
      remembered.clear()
      byId.clear()
    },
  }
}

const none = (): { mails: number; bytes: number } => ({ mails: 0, bytes: 0 })

export function laneAt(index: number): MailLane {
  const lane = LANES[index]
  if (lane === undefined) throw new StoreError('failed', 'a mail is in no lane')
  return lane
}

function recordIn(text: string): SignedAccountRecord {
  const record = accountRecords.parse(JSON.parse(text) as JsonValue)
  if (record === undefined) throw new StoreError('failed', 'a record of a mailbox is damaged')
  return record
}
