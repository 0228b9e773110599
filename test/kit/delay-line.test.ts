import { describe, expect, it } from 'vitest'
import { createDelayLine } from './delay-line.ts'

describe('a delay line', () => {
  it('keeps the order of what is due at nearly the same moment', async () => {
    const line = createDelayLine()
    const passed: number[] = []
    const due = performance.now() + 20
    const all = Array.from({ length: 500 }, (_, index) => index)
    await new Promise<void>((resolve) => {
      const add = (index: number): void => {
        // Time passes in between, as between what a socket reads.
        for (const until = performance.now() + 0.02; performance.now() < until;);
        line.add(due, () => {
          passed.push(index)
          if (passed.length === all.length) resolve()
        })
      }
      for (const index of all) add(index)
    })
    expect(passed).toEqual(all)
    expect(performance.now()).toBeGreaterThanOrEqual(due)
  })
})
