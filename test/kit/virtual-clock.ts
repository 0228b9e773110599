/** Time that stands still until a test moves it. */
import type { Clock } from '@plexus/engine/ports'

export interface VirtualClock extends Clock {
  /** Runs what is due within `ms`, in the order of time, and lets what follows from each settle before the next. */
  advance(ms: number): Promise<void>
  /** Waits until nothing is under way that waits for no timer. */
  readonly settled: () => Promise<void>
  /** Milliseconds until the next timer is due; `undefined` when there is none. */
  readonly next: number | undefined
}

type Timer = { readonly at: number; readonly run: () => void }

/** Lets all that waits for nothing but other promises go on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** `settle` is for nodes that wait for more than promises. */
export function createVirtualClock(start = Date.UTC(2026, 10, 20), settle = settled): VirtualClock {
  let now = start
  const timers = new Set<Timer>()

  const earliest = (): Timer | undefined => {
    let found: Timer | undefined
    for (const timer of timers) if (found === undefined || timer.at < found.at) found = timer
    return found
  }

  return {
    settled: settle,
    now: () => now,
    after(ms, run) {
      const timer = { at: now + Math.max(0, ms), run }
      timers.add(timer)
      return () => {
        timers.delete(timer)
      }
    },
    async advance(ms) {
      const end = now + ms
      await settle()
      for (let timer = earliest(); timer !== undefined && timer.at <= end; timer = earliest()) {
        timers.delete(timer)
        now = Math.max(now, timer.at)
        timer.run()
        await settle()
      }
      now = end
    },
    get next() {
      const timer = earliest()
      return timer === undefined ? undefined : Math.max(0, timer.at - now)
    },
  }
}
