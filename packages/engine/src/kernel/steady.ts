import type { Clock } from '../ports.ts'

/**
 * Milliseconds that go on with the clock and never back: for pauses and for what is remembered for a while, which else last for
 * as long as the clock was ahead once it is set right. They are no date.
 */
export function createSteady({ now }: Pick<Clock, 'now'>): () => number {
  let seen = now()
  let steady = seen
  return () => {
    const at = now()
    steady += Math.max(0, at - seen)
    seen = at
    return steady
  }
}
