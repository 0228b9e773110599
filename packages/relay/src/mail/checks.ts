/** Work that keeps the whole process for milliseconds: signatures of strangers are checked. */
import { MAX_WAITING_CHECKS } from '../limits.ts'

export interface Checks {
  /** Does `work` when it is the turn of the source; `undefined` when too much waits, most of it this source's. @throws what `work` throws */
  run<T>(source: object, work: () => Promise<T>): Promise<T | undefined>
}

/** Called once: whether its turn has come, or it gave way. */
type Job = (isTurn: boolean) => void

/** One piece in a turn of the event loop, so that all else goes on in between, and one source after the other. */
export function createChecks(): Checks {
  /** The one that had its turn longest ago first. */
  const waiting = new Map<object, Job[]>()
  let count = 0

  function next(): void {
    const [first] = waiting
    if (first === undefined) return
    const [source, jobs] = first
    waiting.delete(source)
    const job = jobs.shift()
    if (jobs.length > 0) waiting.set(source, jobs)
    count -= 1
    job?.(true)
    if (count > 0) setImmediate(next)
  }

  /** Of the source that has most waiting the last gives way, so that a flood keeps out none but its own; false where all have as few. */
  function makeRoom(own: number): boolean {
    const most = [...waiting.values()].reduce((a, b) => (b.length > a.length ? b : a))
    if (most.length <= own + 1) return false
    most.pop()?.(false)
    count -= 1
    return true
  }

  return {
    async run(source, work) {
      const jobs = waiting.get(source) ?? []
      if (count >= MAX_WAITING_CHECKS && !makeRoom(jobs.length)) return undefined
      const turn = new Promise<boolean>((resolve) => {
        jobs.push(resolve)
        waiting.set(source, jobs)
      })
      count += 1
      if (count === 1) setImmediate(next)
      return (await turn) ? work() : undefined
    },
  }
}
