/** The Store port on `node:sqlite`. */
import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { StatementSync } from 'node:sqlite'
import { StoreError } from '@plexus/engine/ports'
import type { Durability, Store } from '@plexus/engine/ports'
import { EPOCH_KEY, SCHEMA_KEY } from './layout.ts'
import type { PhysicalWrite } from './layout.ts'
import type { Migration, OpenOptions } from './migrations.ts'
import { createCheckpoints, MAX_LOG_PAGES, type Checkpoints } from './sqlite-checkpoints.ts'
import { fencedError, openStore, takeOver } from './physical.ts'
import type { Entry, Physical } from './physical.ts'

export type SqliteOptions = OpenOptions & {
  /** The size, in bytes, at which commits fail with `full`; at least 64 kB. Unbounded by default. */
  readonly maxBytes?: number
  /** Looks at all pages first, of a file that is not very large: a damaged one is not opened. */
  readonly check?: boolean
  /** How long an opening or a commit waits, blocking, for another process in the middle of a commit; 5 s by default. */
  readonly busyTimeoutMs?: number
}

const BUSY_TIMEOUT_MS = 5_000
const PAGE_BYTES = 4_096
/** Bytes of a database up to which it is looked at when it is opened: a second or two. */
const MAX_CHECKED_BYTES = 1024 * 1024 * 1024
/** Primary result code, https://sqlite.org/rescode.html */
const SQLITE_FULL = 13
const SYNCHRONOUS: Readonly<Record<Durability, string>> = { relaxed: 'NORMAL', strict: 'FULL' }

/*
 * Measured on Node 26 with 3 records and 1.2 kB a PDU, random event ids; thousand PDUs/s at 1 and at 50 a commit. A
 * rowid table with a unique index: 15 and 30. WITHOUT ROWID: 12 and 11, since its inner nodes carry the values. Pages of
 * 8 kB, caches of 2 to 64 MB, TEXT or BLOB, exclusive locking: no difference beyond the noise. `synchronous=FULL`
 * syncs the log at each commit, 0.2 ms here; to switch it takes 2 µs.
 */
const SCHEMA = 'CREATE TABLE IF NOT EXISTS kv (k TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL)'

/**
 * Opens the database file, made if need be, and takes over from whoever has it open. The folder must exist. `:memory:`
 * is not supported. TEXT compares as UTF-8 bytes, which for U+0001..U+00FF is the order of code units.
 * @throws SchemaError for data of a newer program, StoreError for the rest.
 */
export async function openSqliteStore(path: string, options: SqliteOptions = {}): Promise<Store> {
  options.signal?.throwIfAborted()
  const migrations = options.migrations ?? []
  return openStore(connect(path, migrations, options), migrations)
}

function connect(path: string, migrations: readonly Migration[], options: SqliteOptions): Physical {
  const { maxBytes, busyTimeoutMs = BUSY_TIMEOUT_MS } = options
  const database = guarded(() => new DatabaseSync(path, { timeout: busyTimeoutMs }))
  try {
    return guarded(() => {
      database.exec(`PRAGMA page_size = ${PAGE_BYTES}`)
      database.exec('PRAGMA journal_mode = WAL')
      if (maxBytes !== undefined)
        database.exec(`PRAGMA max_page_count = ${Math.floor(maxBytes / PAGE_BYTES)}`)
      if (options.check === true) checkPages(database, path)
      database.exec(SCHEMA)
      database.exec(`PRAGMA wal_autocheckpoint = ${MAX_LOG_PAGES}`)
      return createPhysical(database, migrations, createCheckpoints(path))
    })
  } catch (cause) {
    database.close()
    throw cause
  }
}

/** @throws StoreError for a damaged file */
function checkPages(database: DatabaseSync, path: string): void {
  if (statSync(path).size > MAX_CHECKED_BYTES) return
  const [row] = database.prepare('PRAGMA quick_check(1)').all()
  const found = row?.['quick_check']
  if (found !== 'ok') throw new StoreError('failed', `the database is damaged: ${String(found)}`)
}

function createPhysical(
  database: DatabaseSync,
  migrations: readonly Migration[],
  checkpoints: Checkpoints,
): Physical {
  const prepare = (sql: string): StatementSync => database.prepare(sql, { returnArrays: true })
  const select = prepare('SELECT v FROM kv WHERE k = ?')
  const upsert = prepare('INSERT INTO kv (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v')
  const remove = prepare('DELETE FROM kv WHERE k = ?')
  // Without LIMIT: SQLite plans a statement anew each time that a value is bound to one, which costs more than the rows.
  const ascending = prepare('SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k')
  const descending = prepare('SELECT k, v FROM kv WHERE k >= ? AND k < ? ORDER BY k DESC')
  const entries = (statement: StatementSync, lo: string, hi: string, limit?: number): readonly Entry[] => {
    if (limit === undefined) return statement.all(lo, hi) as unknown as Entry[]
    const found: Entry[] = []
    for (const row of statement.iterate(lo, hi)) {
      found.push(row as unknown as Entry)
      if (found.length === limit) break
    }
    return found
  }
  const read = (key: string): string | undefined => (select.get(key) as string[] | undefined)?.[0]
  const write = ({ key, value }: PhysicalWrite): void => {
    if (value === undefined) remove.run(key)
    else upsert.run(key, value)
  }

  let durability: Durability | undefined
  const transaction = (wanted: Durability, work: () => void): void => {
    if (durability !== wanted) database.exec(`PRAGMA synchronous = ${SYNCHRONOUS[wanted]}`)
    durability = wanted
    database.exec('BEGIN IMMEDIATE')
    try {
      work()
      database.exec('COMMIT')
    } catch (cause) {
      // SQLite itself may have rolled back, as it does for a full disk.
      if (database.isTransaction) database.exec('ROLLBACK')
      throw cause
    }
  }

  let epoch: string | undefined
  transaction('strict', () => {
    const taken = takeOver({ epoch: read(EPOCH_KEY), schema: read(SCHEMA_KEY) }, migrations)
    for (const each of taken.writes) write(each)
    epoch = taken.epoch
  })

  return {
    getMany: async (keys) => guarded(() => keys.map(read)),
    range: async (lo, hi, limit, reverse) =>
      guarded(() => entries(reverse ? descending : ascending, lo, hi, limit)),
    commit: async (writes, wanted) =>
      guarded(() => {
        transaction(wanted, () => {
          if (read(EPOCH_KEY) !== epoch) throw fencedError()
          for (const each of writes) write(each)
        })
        checkpoints.written(writes.length)
      }),
    async close() {
      await checkpoints.close()
      guarded(() => database.close())
    },
  }
}

/** Turns what SQLite throws into a StoreError; errors of ours pass. */
function guarded<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (!isSqliteError(cause)) throw cause
    const full = (cause.errcode & 0xff) === SQLITE_FULL
    throw new StoreError(full ? 'full' : 'failed', `SQLite: ${cause.message}`, { cause })
  }
}

function isSqliteError(cause: unknown): cause is Error & { readonly errcode: number } {
  return cause instanceof Error && 'errcode' in cause && typeof cause.errcode === 'number'
}
