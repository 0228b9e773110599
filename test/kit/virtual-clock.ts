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

type Timer = { readonly at: number; readonly order: number; run: (() => void) | undefined }

/** Lets all that waits for nothing but other promises go on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** `settle` is for nodes that wait for more than promises. */
export function createVirtualClock(start = Date.UTC(2026, 10, 20), settle = settled): VirtualClock {
  let now = start
  let order = 0
  /** A thousand nodes have tens of thousands of timers. */
  const timers = createHeap()

  return {
    settled: settle,
    now: () => now,
    after(ms, run) {
      const timer: Timer = { at: now + Math.max(0, ms), order: (order += 1), run }
      timers.push(timer)
      return () => {
        timer.run = undefined
      }
    },
    async advance(ms) {
      const end = now + ms
      await settle()
      for (let timer = timers.first(); timer !== undefined && timer.at <= end; timer = timers.first()) {
        timers.shift()
        now = Math.max(now, timer.at)
        timer.run?.()
        await settle()
      }
      now = end
    },
    get next() {
      const timer = timers.first()
      return timer === undefined ? undefined : Math.max(0, timer.at - now)
    },
  }
}

type Heap = {
  push(timer: Timer): void
  /** The earliest that was not cancelled; of one time the one that was set first. */
  first(): Timer | undefined
  /** Removes the first. */
  shift(): void
}

function createHeap(): Heap {
  const heap: Timer[] = []
  const isBefore = (a: Timer | undefined, b: Timer | undefined): boolean =>
    a !== undefined && (b === undefined || a.at < b.at || (a.at === b.at && a.order < b.order))
  const swap = (i: number, j: number): void => {
    const [a, b] = [heap[i], heap[j]]
    if (a === undefined || b === undefined) return
    heap[i] = b
    heap[j] = a
  }

  const shift = (): void => {
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    for (let i = 0; ;) {
      const child = isBefore(heap[2 * i + 2], heap[2 * i + 1]) ? 2 * i + 2 : 2 * i + 1
      if (!isBefore(heap[child], heap[i])) return
      swap(i, child)
      i = child
    }
  }

  return {
    push(timer) {
      heap.push(timer)
      for (let i = heap.length - 1; i > 0;) {
        const parent = (i - 1) >> 1
        if (!isBefore(heap[i], heap[parent])) return
        swap(i, parent)
        i = parent
      }
    },
    first() {
      while (heap[0] !== undefined && heap[0].run === undefined) shift()
      return heap[0]
    },
    shift,
  }
}
