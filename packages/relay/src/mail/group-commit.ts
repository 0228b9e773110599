/** Writes to a SQLite database, many to one commit and one sync of the disk, which nothing in the process waits for. */
import { type FileHandle, open } from 'node:fs/promises'
import type { DatabaseSync } from 'node:sqlite'
import { StoreError } from '@plexus/engine/ports'
import { MAX_COMMIT_WRITES } from '../limits.ts'
import { isDamage } from './salvage.ts'

/** Primary result code, https://sqlite.org/rescode.html */
const SQLITE_FULL = 13

export interface GroupCommit extends AsyncDisposable {
  /**
   * Runs `work` in a transaction, after what was given before. Resolves with its answer once that is on disk.
   * @throws what `work` throws (nothing of the commit stays then, and its other writes are tried one by one), StoreError
   */
  write<T>(work: () => T): Promise<T>
  /** Why nothing is written any more. */
  readonly failure: StoreError | undefined
  /** What was thrown elsewhere, as a StoreError; nothing is written any more where it says that the database is damaged. */
  met(error: unknown): unknown
}

type Job = {
  readonly work: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * @param database in WAL mode with `synchronous=NORMAL`: a commit writes to the log and does not sync it
 * @param path of the database
 * @param undone a transaction was rolled back: what was remembered of it counts no more
 */
export function createGroupCommit(database: DatabaseSync, path: string, undone: () => void): GroupCommit {
  let queue: Job[] = []
  let log: FileHandle | undefined
  let failure: StoreError | undefined
  let running: Promise<void> | undefined
  let closed = false

  /** One transaction. @throws what a job threw, after a roll-back */
  function commit(jobs: readonly Job[]): unknown[] {
    database.exec('BEGIN IMMEDIATE')
    try {
      const answers = jobs.map(({ work }) => work())
      database.exec('COMMIT')
      return answers
    } catch (cause) {
      // SQLite itself may have rolled back, as it does for a full disk.
      if (database.isTransaction) database.exec('ROLLBACK')
      undone()
      throw cause
    }
  }

  /** The log is synced by another file handle, in another thread; SQLite syncs it itself before it begins it anew. */
  async function sync(): Promise<void> {
    log ??= await open(`${path}-wal`, 'r+')
    await log.datasync()
  }

  function met(cause: unknown): unknown {
    const error = storeError(cause)
    if (error instanceof StoreError && isDamage(error)) failure ??= error
    return error
  }

  async function writeAll(jobs: readonly Job[]): Promise<void> {
    let answers: unknown[]
    try {
      answers = commit(jobs)
    } catch (cause) {
      const [only] = jobs
      if (jobs.length > 1) for (const job of jobs) await writeAll([job])
      else only?.reject(met(cause))
      return
    }
    try {
      await sync()
    } catch (cause) {
      // What the disk has of the log is unknown from here on.
      failure = new StoreError('failed', 'the mail could not be synced to disk', { cause })
      for (const { reject } of jobs) reject(failure)
      return
    }
    for (const [n, { resolve }] of jobs.entries()) resolve(answers[n])
  }

  async function run(): Promise<void> {
    while (queue.length > 0) {
      // What arrives in this turn of the event loop goes along.
      await new Promise(setImmediate)
      const jobs = queue.slice(0, MAX_COMMIT_WRITES)
      queue = queue.slice(MAX_COMMIT_WRITES)
      if (failure === undefined) await writeAll(jobs)
      else for (const { reject } of jobs) reject(failure)
    }
    running = undefined
  }

  return {
    write<T>(work: () => T): Promise<T> {
      if (closed) return Promise.reject(new StoreError('closed', 'the mail store is closed'))
      return new Promise<T>((resolve, reject) => {
        queue.push({ work, resolve: resolve as (value: unknown) => void, reject })
        running ??= run()
      })
    },
    get failure() {
      return failure
    },
    met,
    async [Symbol.asyncDispose]() {
      closed = true
      await running
      await log?.close()
    },
  }
}

/** Turns what SQLite throws into a StoreError; other errors pass. */
export function storeError(cause: unknown): unknown {
  if (!(cause instanceof Error && 'errcode' in cause && typeof cause.errcode === 'number')) return cause
  const full = (cause.errcode & 0xff) === SQLITE_FULL
  return new StoreError(full ? 'full' : 'failed', `SQLite: ${cause.message}`, { cause })
}
