/** What is passed on later, in the order in which it came. */
export interface DelayLine {
  /** Runs at `dueMs` of `performance.now()`, or right after what was added before, whichever is later. */
  add(dueMs: number, run: () => void): void
}

/** With a timer for each, one of the same moment might overtake another: timers count in whole milliseconds. */
export function createDelayLine(): DelayLine {
  const waiting: { readonly dueMs: number; readonly run: () => void }[] = []
  const schedule = (): void => {
    const [first] = waiting
    if (first !== undefined) setTimeout(flush, Math.max(0, first.dueMs - performance.now()))
  }
  const flush = (): void => {
    const now = performance.now()
    const later = waiting.findIndex(({ dueMs }) => dueMs > now)
    for (const { run } of waiting.splice(0, later === -1 ? waiting.length : later)) run()
    schedule()
  }
  return {
    add(dueMs, run) {
      waiting.push({ dueMs, run })
      if (waiting.length === 1) schedule()
    },
  }
}
