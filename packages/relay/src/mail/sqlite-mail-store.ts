/** The MailStore port on `node:sqlite`. */
import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { ServerName } from '@plexus/core'
import { StoreError, type KeptMail, type Place } from '@plexus/engine/ports'
import { createCheckpoints } from '@plexus/store/sqlite-checkpoints'
import { REMOVALS_PER_COMMIT } from '../limits.ts'
import { markClosed, unmark } from './closed-mark.ts'
import { createGroupCommit, storeError } from './group-commit.ts'
import { LANES, type LaneQuota, type MailStore, type NewMail } from './mail-store.ts'
import { salvage, type Salvaged } from './salvage.ts'
import { createShelves, SHELF_SCHEMA } from './sqlite-shelves.ts'
import { createBoxes, laneAt, type Box, type Boxes, type Removed } from './sqlite-boxes.ts'

export type SqliteMailStoreOptions = {
  /** Bytes in use at which deposits are refused. */
  readonly maxBytes: number
  /** Bytes that the disk has room for; by default the file system is asked. */
  readonly diskBytes?: () => number
}

const PAGE_BYTES = 4_096
/** Bytes beyond those for deposits, so that mail can be acknowledged and removed when there is no room for more. */
const RESERVE_BYTES = 16 * 1024 * 1024
/** Pages of the log at which the writing connection copies them itself. */
const MAX_LOG_PAGES = 16_000
/** Bytes of the disk that deposits leave: the log's, which are copied before they are used again, and the reserve. */
export const DISK_RESERVE_BYTES: number = MAX_LOG_PAGES * PAGE_BYTES + RESERVE_BYTES
/** Bytes of mail after which the disk is looked at again; to look costs as much as a tenth of a deposit. */
const DISK_LOOK_BYTES = 1024 * 1024
const SCHEMA_VERSION = 4

/** Where the database was when it was opened last, one row. */
const ADD_LIFE = 'CREATE TABLE life (place TEXT NOT NULL);'
/*
 * `last`: the highest cursor that a removed mail had; with that of the mail that is there it is the mailbox's highest
 * ever. The index of places holds all that a quota counts. `expires`: when a mail is removed; `sealed`: the expiry that
 * it is sealed with, without which it does not open.
 */
const SCHEMA = `
  CREATE TABLE box (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL, access BLOB NOT NULL,
    expires INTEGER NOT NULL, last INTEGER NOT NULL);
  CREATE TABLE device (box INTEGER NOT NULL, peer TEXT NOT NULL, cursor INTEGER NOT NULL, PRIMARY KEY (box, peer))
    WITHOUT ROWID;
  CREATE TABLE mail (
    id INTEGER PRIMARY KEY, box INTEGER NOT NULL, cursor INTEGER NOT NULL, lane INTEGER NOT NULL, key TEXT NOT NULL,
    expires INTEGER NOT NULL, hash BLOB NOT NULL, size INTEGER NOT NULL, sealed INTEGER NOT NULL,
    bytes BLOB NOT NULL);
  CREATE INDEX mail_place ON mail (box, cursor, lane, size);
  CREATE UNIQUE INDEX mail_hash ON mail (box, hash);
  CREATE INDEX mail_expiry ON mail (expires);
  CREATE INDEX box_expiry ON box (expires);
  ${SHELF_SCHEMA}
  ${ADD_LIFE}
  PRAGMA user_version = ${SCHEMA_VERSION}`
/** From version 1, which had one expiry for both, to 2. */
const ADD_SEALED = `
  ALTER TABLE mail ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
  UPDATE mail SET sealed = expires;`

/**
 * Opens the database file, made if need be; the folder must exist, and no other process may have it open.
 * @throws StoreError, also for a database of a newer program
 */
export function openSqliteMailStore(path: string, options: SqliteMailStoreOptions): MailStore {
  const database = guarded(() => new DatabaseSync(path))
  try {
    return guarded(() => {
      unmark(path)
      prepareDatabase(database, options.maxBytes)
      return createMailStore(database, path, options)
    })
  } catch (cause) {
    database.close()
    throw cause
  }
}

/**
 * Puts a damaged database aside and what can be read of it in its place, see `salvage`. It reads all of one that was not closed.
 * @throws StoreError
 */
export function mendSqliteMailStore(path: string, now: number): Salvaged | undefined {
  const create = (fresh: string): void => {
    using database = new DatabaseSync(fresh)
    prepareDatabase(database, Number.MAX_SAFE_INTEGER)
  }
  return guarded(() => salvage(path, String(now), create))
}

/**
 * Notes where the database is. True for one that was put in its place since, from a backup: what it still has of one-time keys may
 * have been given out, so that they are dropped, and owners bring others.
 * @throws StoreError, as opening does
 */
export function placeSqliteMailStore(path: string, { before, now }: Place): boolean {
  return guarded(() => {
    using database = new DatabaseSync(path)
    prepareDatabase(database, Number.MAX_SAFE_INTEGER)
    const last = database.prepare('SELECT place FROM life').get()?.['place']
    const isCopy = last !== undefined && last !== before
    database.exec('BEGIN IMMEDIATE; DELETE FROM life')
    database.prepare('INSERT INTO life (place) VALUES (?)').run(now)
    if (isCopy) createShelves(database).removeOneTimeKeys()
    database.exec('COMMIT')
    return isCopy
  })
}

function prepareDatabase(database: DatabaseSync, maxBytes: number): void {
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}`)
  database.exec('PRAGMA journal_mode = WAL')
  database.exec(`PRAGMA max_page_count = ${Math.floor((maxBytes + RESERVE_BYTES) / PAGE_BYTES)}`)
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version > SCHEMA_VERSION) throw new StoreError('failed', 'the mail is of a newer program')
  // This one is synced by SQLite, and with it that the log is there at all.
  if (version === 0) database.exec(`BEGIN IMMEDIATE; ${SCHEMA}; COMMIT`)
  const steps = [ADD_SEALED, SHELF_SCHEMA, ADD_LIFE].slice(version - 1)
  if (version > 0 && steps.length > 0)
    database.exec(`BEGIN IMMEDIATE; ${steps.join('')} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`)
  database.exec('PRAGMA synchronous = NORMAL')
  database.exec(`PRAGMA wal_autocheckpoint = ${MAX_LOG_PAGES}`)
}

function createMailStore(database: DatabaseSync, path: string, options: SqliteMailStoreOptions): MailStore {
  const shelves = createShelves(database)
  const boxes = createBoxes(database, (box) => shelves.remove(box))
  const mails = createMails(database)
  const room = createRoom(database, { diskBytes: () => freeBytes(path), ...options })
  const checkpoints = createCheckpoints(path)
  const commits = createGroupCommit(database, path, () => boxes.forget())
  const removal = createRemoval(database, boxes)

  async function write<T>(work: () => T): Promise<T> {
    const answer = await commits.write(work)
    checkpoints.written(1)
    return answer
  }

  const read = async <T>(work: () => T): Promise<T> => {
    if (commits.failure !== undefined) throw commits.failure
    try {
      return work()
    } catch (cause) {
      throw commits.met(cause)
    }
  }

  /** Removes step by step, so that nothing else waits for long. */
  async function removeAll(step: () => number): Promise<void> {
    while ((await write(step)) === REMOVALS_PER_COMMIT);
  }

  const watchers = new Set<(recipient: ServerName) => void>()

  return {
    get failure() {
      return commits.failure
    },
    watch(arrived) {
      watchers.add(arrived)
      return () => watchers.delete(arrived)
    },
    mailbox: (name) => read(() => boxes.get(name)?.mailbox),
    async register(mailbox, maxMailboxes) {
      const kept = await write(() => boxes.put(mailbox, maxMailboxes))
      if (kept?.mailbox === mailbox) await removeAll(() => removal.acknowledged(kept))
      return kept?.mailbox
    },
    async deposit({ mail, hash, quota, now, until = mail.expires }) {
      const outcome = await write(() => {
        const box = boxes.get(mail.recipient)
        if (box === undefined) return 'unknown'
        const used = box.used[mail.lane]
        const { length } = mail.bytes
        const isFull = used.mails + 1 > quota.mails || used.bytes + length > quota.bytes
        if (isFull || !room.has(length)) return mails.isKnown(box.id, hash) ? 'known' : 'quota'
        // By the clock, so that they rise also when an old copy of the database was put in its place.
        const cursor = Math.max(box.last + 1, now)
        if (!mails.insert(box.id, cursor, { mail, hash, until })) return 'known'
        boxes.added(box, { cursor, lane: mail.lane, size: length })
        return 'kept'
      })
      if (outcome === 'kept') for (const arrived of watchers) arrived(mail.recipient)
      return outcome
    },
    fetch: (name, cursor, bounds, end) =>
      read(() => {
        const box = boxes.get(name)
        return box === undefined ? [] : mails.after(box.id, name, cursor, bounds, end)
      }),
    async acknowledge(name, device, cursor) {
      const box = await write(() => removal.note(name, device, cursor))
      if (box !== undefined) await removeAll(() => removal.acknowledged(box))
    },
    stock: ({ name, ...stock }) =>
      write(() => {
        const box = boxes.get(name)
        if (box === undefined) return 'unknown'
        return room.has(0) ? shelves.put(box.id, stock) : 'quota'
      }),
    shelf: (name, user) =>
      read(() => {
        const box = boxes.get(name)
        return box && shelves.get(box.id, user)
      }),
    claim: ({ name, ...claim }) =>
      write(() => {
        const box = boxes.get(name)
        return box && shelves.claim(box.id, claim)
      }),
    async expire(now) {
      await removeAll(() => removal.expired(now))
      await removeAll(() => boxes.expire(now))
    },
    totals: () => read(() => boxes.totals()),
    async [Symbol.asyncDispose]() {
      await commits[Symbol.asyncDispose]()
      await checkpoints.close()
      database.close()
      if (commits.failure === undefined) markClosed(path)
    },
  }
}

/** Whether more mail fits, within the bound of the database and on the disk. */
interface Room {
  has(bytes: number): boolean
}

function createRoom(database: DatabaseSync, { maxBytes, diskBytes }: Required<SqliteMailStoreOptions>): Room {
  const counts = database.prepare(
    'SELECT page_count AS pages, freelist_count AS free FROM pragma_page_count(), pragma_freelist_count()',
  )
  let disk = 0
  let unseen = Number.POSITIVE_INFINITY
  return {
    has(bytes) {
      const { pages, free } = counts.get() as { pages: number; free: number }
      if ((pages - free) * PAGE_BYTES + bytes > maxBytes) return false
      if (unseen >= DISK_LOOK_BYTES) {
        disk = diskBytes()
        unseen = 0
      }
      // What removed mail left free needs no more of the disk.
      if (disk + free * PAGE_BYTES < DISK_RESERVE_BYTES + unseen + bytes) {
        unseen = Number.POSITIVE_INFINITY
        return false
      }
      unseen += bytes
      return true
    },
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(dirname(path))
  return bavail * bsize
}

interface Mails {
  isKnown(box: number, hash: Uint8Array): boolean
  /** False when its bytes are there already. */
  insert(box: number, cursor: number, mail: Required<Pick<NewMail, 'mail' | 'hash' | 'until'>>): boolean
  after(box: number, recipient: ServerName, cursor: number, bounds: LaneQuota, end?: 'last'): KeptMail[]
}

type MailRow = { cursor: number; lane: number; key: string; sealed: number; bytes: Uint8Array }

function createMails(database: DatabaseSync): Mails {
  const known = database.prepare('SELECT 1 FROM mail WHERE box = ? AND hash = ?')
  const insert = database.prepare(
    `INSERT INTO mail (box, cursor, lane, key, expires, sealed, hash, size, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (box, hash) DO NOTHING`,
  )
  const ordered = (order: 'ASC' | 'DESC'): StatementSync =>
    database.prepare(
      `SELECT cursor, lane, key, sealed, bytes FROM mail WHERE box = ? AND cursor > ? ORDER BY cursor ${order}`,
    )
  const [first, last] = [ordered('ASC'), ordered('DESC')]
  return {
    isKnown: (box, hash) => known.get(box, hash) !== undefined,
    insert(box, cursor, { mail: { lane, keyId, expires, bytes }, hash, until }) {
      const { changes } = insert.run(
        box,
        cursor,
        LANES.indexOf(lane),
        keyId,
        Math.min(expires, until),
        expires,
        hash,
        bytes.length,
        bytes,
      )
      return changes === 1
    },
    after(box, recipient, cursor, bounds, end) {
      let left = bounds.bytes
      const isWithin = ({ bytes }: MailRow, n: number): boolean => {
        left -= bytes.length
        return n === 0 || left >= 0
      }
      const found = (end === 'last' ? last : first).iterate(box, cursor) as Iterable<MailRow>
      const rows = take(found, bounds.mails, isWithin)
      return (end === 'last' ? rows.toReversed() : rows).map((row) => ({
        cursor: row.cursor,
        mail: {
          recipient,
          lane: laneAt(row.lane),
          keyId: row.key,
          expires: row.sealed,
          bytes: row.bytes,
        },
      }))
    },
  }
}

interface Removal {
  /** Notes a device's cursor; answers its mailbox, `undefined` when there is nothing to note. */
  note(name: ServerName, device: string, cursor: number): Box | undefined
  /** Removes some mail that all devices have, or that expired; answers how much. */
  acknowledged(box: Box): number
  expired(now: number): number
}

function createRemoval(database: DatabaseSync, boxes: Boxes): Removal {
  const note = database.prepare(
    `INSERT INTO device (box, peer, cursor) VALUES (?, ?, ?)
      ON CONFLICT (box, peer) DO UPDATE SET cursor = MAX(cursor, excluded.cursor)`,
  )
  const cursors = database.prepare('SELECT peer, cursor FROM device WHERE box = ?')
  const forget = database.prepare('DELETE FROM device WHERE box = ? AND peer = ?')
  const deleted = (where: string): StatementSync =>
    database.prepare(
      `DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE ${where} LIMIT ${REMOVALS_PER_COMMIT})
        RETURNING box, cursor, lane, size`,
    )
  const upTo = deleted('box = ? AND cursor <= ?')
  const expired = deleted('expires <= ?')

  const tell = (rows: Removed[]): number => {
    for (const row of rows) boxes.removed(row)
    return rows.length
  }

  return {
    note(name, device, cursor) {
      const box = boxes.get(name)
      if (box === undefined || !box.mailbox.record.record.devices.includes(device)) return undefined
      // What is not there yet is acknowledged by nobody.
      note.run(box.id, device, Math.min(cursor, box.last))
      return box
    },
    acknowledged({ id, mailbox }) {
      const { devices } = mailbox.record.record
      const acknowledged = new Map<string, number>()
      for (const { peer, cursor } of cursors.all(id) as { peer: string; cursor: number }[]) {
        if (devices.includes(peer)) acknowledged.set(peer, cursor)
        else forget.run(id, peer)
      }
      if (devices.length === 0) return 0
      const lowest = Math.min(...devices.map((device) => acknowledged.get(device) ?? 0))
      return lowest === 0 ? 0 : tell(upTo.all(id, lowest) as Removed[])
    },
    expired: (now) => tell(expired.all(now) as Removed[]),
  }
}

/** The first rows, while they are wanted; SQLite plans a statement anew when a value is bound to its LIMIT. */
function take<Row>(rows: Iterable<Row>, limit: number, wanted: (row: Row, n: number) => boolean): Row[] {
  const taken: Row[] = []
  for (const row of rows) {
    if (taken.length === limit || !wanted(row, taken.length)) break
    taken.push(row)
  }
  return taken
}

function guarded<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw storeError(cause)
  }
}
