/** The owner lock of a data folder, for Node. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { OwnerLock } from './owner-lock.ts'

const LOCK_FILE = 'lock'

/**
 * Makes the folder if need be and locks it; `undefined` when another process, or this one, holds it already. SQLite is
 * the only thing in Node that takes an operating-system lock: an empty database in an exclusive transaction. The
 * kernel frees it when the process ends, however it ends, so a lock is never stale.
 */
export async function acquireFolderLock(folder: string): Promise<OwnerLock | undefined> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const database = new DatabaseSync(join(folder, LOCK_FILE), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === SQLITE_BUSY) return undefined
    throw cause
  }
  return {
    async release() {
      if (database.isOpen) database.close()
    },
  }
}

/** https://sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5
