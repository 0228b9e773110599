import { expect, it } from 'vitest'
import { createSteady } from './steady.ts'

it('steady time goes on while the clock does, also after that was set back', () => {
  let now = 1_000
  const steady = createSteady({ now: () => now })
  const until = steady() + 50
  now += 31_536_000_000
  const later = steady() + 50
  expect(steady()).toBeGreaterThan(until)
  now -= 31_536_000_000
  expect(steady()).toBeLessThan(later)
  now += 50
  expect(steady()).toBe(later)
})
