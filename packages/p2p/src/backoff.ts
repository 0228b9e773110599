import type { Clock, Random } from '@plexus/engine/ports'

export type BackoffInit = { readonly firstMs: number; readonly maxMs: number }

/** Waits between attempts: full jitter under a doubling ceiling, cut short by `kick`. */
export interface Backoff {
  /** Resolves after the wait, on `kick`, or when the signal is aborted. Without `timed` only the latter two end it. */
  wait(signal: AbortSignal, timed?: boolean): Promise<void>
  /** Ends the present wait, or makes the next one end at once. */
  kick(): void
  /** An attempt succeeded: the next wait is a first one. */
  reset(): void
}

export function createBackoff(clock: Clock, random: Random, { firstMs, maxMs }: BackoffInit): Backoff {
  let ceiling = firstMs
  let kicked = false
  let wake: (() => void) | undefined

  return {
    wait(signal, timed = true) {
      if (kicked || signal.aborted) {
        kicked = false
        return Promise.resolve()
      }
      // At least a tenth, so that many unlucky draws in a row make no busy loop.
      const ms = ceiling * (0.1 + 0.9 * fraction(random))
      ceiling = Math.min(maxMs, ceiling * 2)
      return new Promise((resolve) => {
        const end = (): void => {
          wake = undefined
          kicked = false
          cancel()
          signal.removeEventListener('abort', end)
          resolve()
        }
        const cancel = timed ? clock.after(ms, end) : (): void => undefined
        wake = end
        signal.addEventListener('abort', end, { once: true })
      })
    },
    kick() {
      ceiling = firstMs
      if (wake === undefined) kicked = true
      else wake()
    },
    reset() {
      ceiling = firstMs
      kicked = false
    },
  }
}

/** A number from 0 up to 1. */
function fraction(random: Random): number {
  const bytes = random.bytes(4)
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32
}

/** Resolves after `ms`, or when the signal is aborted. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.after(ms, end)
    signal.addEventListener('abort', end, { once: true })
  })
}
