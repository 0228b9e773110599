/** Work that keeps the whole process for milliseconds: signatures of strangers are checked. */
import { MAX_WAITING_CHECKS } from '../limits.ts'

export interface Checks {
  /** Does `work` when it is the turn of the source; `undefined` when too much waits. @throws what `work` throws */
  run<T>(source: object, work: () => Promise<T>): Promise<T | undefined>
}

/** One piece in a turn of the event loop, so that all else goes on in between, and one source after the other. */
export function createChecks(): Checks {
  /** The one that had its turn longest ago first. */
  const waiting = new Map<object, (() => void)[]>()
  let count = 0

  function next(): void {
    const [first] = waiting
    if (first === undefined) return
    const [source, jobs] = first
    waiting.delete(source)
    const job = jobs.shift()
    if (jobs.length > 0) waiting.set(source, jobs)
    count -= 1
    job?.()
    if (count > 0) setImmediate(next)
  }

  return {
    async run(source, work) {
      if (count >= MAX_WAITING_CHECKS) return undefined
      const turn = new Promise<void>((resolve) => {
        const jobs = waiting.get(source) ?? []
        jobs.push(resolve)
        waiting.set(source, jobs)
      })
      count += 1
      if (count === 1) setImmediate(next)
      await turn
      return work()
    },
  }
}
