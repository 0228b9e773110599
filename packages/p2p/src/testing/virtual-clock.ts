import type { Clock } from '@plexus/engine/ports'

/** Time that passes when the test says so. */
export interface VirtualClock extends Clock {
  /** Lets `ms` pass; timers that fall due run in order, each at its time. */
  advance(ms: number): void
  /** Lets `ms` pass at once, as when the process was frozen: timers run late. */
  freeze(ms: number): void
  /** Sets the time of day by `ms` on or back; timers fall due after as long as before. */
  set(ms: number): void
}

export function createVirtualClock(start = 1_700_000_000_000): VirtualClock {
  let now = start
  let timers: { at: number; readonly run: () => void }[] = []

  function next(until: number): { at: number; readonly run: () => void } | undefined {
    const due = timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
    if (due !== undefined) timers = timers.filter((timer) => timer !== due)
    return due
  }

  return {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(ms) {
      const until = now + ms
      for (let timer = next(until); timer !== undefined; timer = next(until)) {
        now = Math.max(now, timer.at)
        timer.run()
      }
      now = until
    },
    freeze(ms) {
      now += ms
      for (let timer = next(now); timer !== undefined; timer = next(now)) timer.run()
    },
    set(ms) {
      now += ms
      for (const timer of timers) timer.at += ms
    },
  }
}
