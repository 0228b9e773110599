export interface Batch {
  /** Runs the work, not before `afterMs` from now; of several calls the one that is due first counts. */
  touch(afterMs?: number): void
  stop(): void
}

/** Runs `work` soon after `touch`, at once for the first and at most once per `gapMs` for many. */
export function createBatch(work: () => void, gapMs: number): Batch {
  let last = -Infinity
  let due = Infinity
  let timer: ReturnType<typeof setTimeout> | undefined
  const run = (): void => {
    if (!Number.isFinite(due)) return
    due = Infinity
    last = performance.now()
    work()
  }
  return {
    touch(afterMs = 0) {
      const now = performance.now()
      const wanted = Math.max(now + afterMs, last + gapMs)
      if (wanted >= due) return
      due = wanted
      clearTimeout(timer)
      if (due <= now) queueMicrotask(run)
      else timer = setTimeout(run, due - now)
    },
    stop() {
      clearTimeout(timer)
      due = -Infinity
    },
  }
}
