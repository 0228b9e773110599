import type { Log } from '../ports.ts'

/** Work in the background of one owner, until that is closed. */
export interface Runs {
  /** What starts `work`, one run at a time: what comes meanwhile makes one more. A run that fails is logged as `what`. */
  once(what: string, work: () => Promise<void>): () => void
  readonly closed: boolean
  idle(): Promise<void>
  /** Starts nothing more. */
  close(): void
}

export function createRuns(log: Log): Runs {
  const running = new Set<Promise<void>>()
  let closed = false
  return {
    once(what, work) {
      let isRunning = false
      let again = false
      const start = (): void => {
        again = isRunning
        if (isRunning || closed) return
        isRunning = true
        const run = work()
          .catch((error: unknown) => log.log('warn', what, { error: String(error) }))
          .finally(() => {
            isRunning = false
            running.delete(run)
            if (again) start()
          })
        running.add(run)
      }
      return start
    },
    get closed() {
      return closed
    },
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
    close() {
      closed = true
    },
  }
}
