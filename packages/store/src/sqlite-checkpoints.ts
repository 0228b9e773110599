/**
 * Checkpoints of a SQLite log in a thread of their own: to copy a thousand pages and sync them keeps a commit, and all that
 * the process does, waiting for 40 ms.
 */
import { Worker } from 'node:worker_threads'

/** Writes after which a checkpoint begins: some thousand pages of the log. */
export const WRITES_PER_CHECKPOINT = 500
/**
 * Pages of the log at which the committing connection makes a checkpoint itself, 32 MB. By then most is copied, and since
 * nobody writes meanwhile the log begins anew, which it cannot while commits go on.
 */
export const MAX_LOG_PAGES = 8_000

// Text, since a bundle is one file. A connection of its own: SQLite lets one checkpoint while another commits. PASSIVE waits
// for nobody.
const THREAD = `
const { DatabaseSync } = require('node:sqlite')
const { parentPort, workerData } = require('node:worker_threads')
const database = new DatabaseSync(workerData, { timeout: 0 })
parentPort.on('message', (what) => {
  try {
    if (what === 'checkpoint') database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  } catch {
    // The committing connection makes it when the log is full, and fails aloud where that is the disk's fault.
  }
  if (what === 'close') {
    database.close()
    parentPort.close()
  } else parentPort.postMessage('done')
})
`

export interface Checkpoints {
  /** So many values were committed. */
  written(count: number): void
  /** Resolves when nothing of this has the database open. */
  close(): Promise<void>
}

/** The thread is started when the first checkpoint is due. */
export function createCheckpoints(path: string): Checkpoints {
  let thread: Worker | undefined
  let due = 0
  let isBusy = false

  const start = (): Worker => {
    const worker = new Worker(THREAD, {
      eval: true,
      workerData: path,
      resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 },
    })
    worker.on('message', () => (isBusy = false))
    // Without it the committing connection does the work, as SQLite does by itself.
    worker.on('error', () => undefined)
    worker.unref()
    return worker
  }

  return {
    written(count) {
      due += count
      if (due < WRITES_PER_CHECKPOINT || isBusy) return
      due = 0
      isBusy = true
      thread ??= start()
      thread.postMessage('checkpoint', [])
    },
    async close() {
      if (thread === undefined) return
      const ended = new Promise((resolve) => thread?.once('exit', resolve))
      // It may have ended by itself.
      if (thread.threadId === -1) return
      // Now it is waited for.
      thread.ref()
      thread.postMessage('close', [])
      await ended
    },
  }
}
