/** Runs `work` soon after `touch`, at once for the first and at most once per `gapMs` for many. */
export function createBatch(work: () => void, gapMs: number): { touch(): void; stop(): void } {
  let last = -Infinity
  let waiting = false
  let stopped = false
  const run = (): void => {
    waiting = false
    if (stopped) return
    last = performance.now()
    work()
  }
  return {
    touch() {
      if (waiting || stopped) return
      waiting = true
      const wait = last + gapMs - performance.now()
      if (wait <= 0) queueMicrotask(run)
      else setTimeout(run, wait)
    },
    stop() {
      stopped = true
    },
  }
}
