/** What becomes of a damaged SQLite database of mail: it is put aside, and what can be read of it is kept. */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isAsClosed } from './closed-mark.ts'

/** Tables, and whose row each of theirs hangs on. */
const TABLES: readonly (readonly [table: string, parent?: readonly [column: string, table: string]])[] = [
  ['box'],
  ['device', ['box', 'box']],
  ['mail', ['box', 'box']],
  ['shelf', ['box', 'box']],
  ['shelf_key', ['shelf', 'shelf']],
]
/** Files of a database beside it. */
const SUFFIXES = ['-wal', '-shm'] as const

/** SQLite's error for a file whose pages are not what they should be, https://sqlite.org/rescode.html */
const SQLITE_CORRUPT = 11

export type Salvaged = {
  /** Where the damaged database is. */
  readonly aside: string
  readonly mailboxes: number
  readonly mails: number
}

/** True for an error of SQLite that says that pages of the file are damaged. */
export function isDamage(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('errcode' in error && typeof error.errcode === 'number')
    return (error.errcode & 0xff) === SQLITE_CORRUPT
  return isDamage(error.cause)
}

/** What SQLite finds wrong with its pages; reads all of them. @throws for what is no database at all */
function isDamaged(path: string): boolean {
  using database = new DatabaseSync(path)
  try {
    const [row] = database.prepare('PRAGMA quick_check(1)').all()
    return row?.['quick_check'] !== 'ok'
  } catch (error) {
    if (isDamage(error)) return true
    throw error
  }
}

/**
 * Puts a damaged database aside, and what can be read of it in its place: of each table from both ends up to the first row that
 * cannot be. `undefined` where nothing is damaged, and, unread, for one that is as it was closed. No other process may have it open.
 * @param create makes an empty one
 * @param suffix makes the name of the damaged one differ from others
 * @throws what SQLite throws, the damaged database being where it was
 */
export function salvage(path: string, suffix: string, create: (path: string) => void): Salvaged | undefined {
  if (!existsSync(path) || isAsClosed(path) || !isDamaged(path)) return undefined
  const [fresh, aside] = [`${path}.salvaged`, `${path}.damaged-${suffix}`]
  for (const end of ['', ...SUFFIXES]) rmSync(fresh + end, { force: true })
  create(fresh)
  const counts = copyAll(path, fresh)
  for (const end of SUFFIXES) if (existsSync(path + end)) renameSync(path + end, aside + end)
  // By a second name: whenever this ends, there is a database in its place, or the next start would make an empty one.
  linkSync(path, aside)
  renameSync(fresh, path)
  syncFolder(dirname(path))
  return { aside, ...counts }
}

/** Else a power cut may bring the damaged one back, and what was taken since is lost. */
function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function copyAll(damaged: string, fresh: string): Pick<Salvaged, 'mailboxes' | 'mails'> {
  using source = new DatabaseSync(damaged)
  using target = new DatabaseSync(fresh)
  target.exec('BEGIN')
  for (const [table] of TABLES) copyTable(source, target, table)
  for (const [table, parent] of TABLES)
    if (parent !== undefined)
      target.exec(`DELETE FROM ${table} WHERE ${parent[0]} NOT IN (SELECT id FROM ${parent[1]})`)
  target.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)')
  const count = (table: string): number =>
    Number(target.prepare(`SELECT COUNT(*) AS rows FROM ${table}`).get()?.['rows'])
  return { mailboxes: count('box'), mails: count('mail') }
}

function copyTable(source: DatabaseSync, target: DatabaseSync, table: string): void {
  const columns = target.prepare(`PRAGMA table_info(${table})`).all()
  const names = columns.map(({ name }) => String(name))
  const keys = columns.filter(({ pk }) => Number(pk) > 0).map(({ name }) => String(name))
  const marks = names.map(() => '?').join()
  const insert = target.prepare(`INSERT OR IGNORE INTO ${table} (${names.join()}) VALUES (${marks})`)
  /** True when there was nothing that could not be read. */
  const copy = (direction: 'ASC' | 'DESC'): boolean => {
    const order = keys.map((key) => `${key} ${direction}`).join()
    try {
      // In the order of the table itself: an index may be damaged elsewhere.
      const rows = source.prepare(`SELECT ${names.join()} FROM ${table} NOT INDEXED ORDER BY ${order}`)
      for (const row of rows.iterate()) insert.run(...names.map((name) => row[name] ?? null))
      return true
    } catch (error) {
      if (isDamage(error)) return false
      throw error
    }
  }
  if (!copy('ASC')) copy('DESC')
}
