import { expect, it } from 'vitest'
import { backoffMs } from './backoff.ts'

const chance = (byte: number) => ({ bytes: () => Uint8Array.of(byte) })

it('doubles up to the longest, and spreads by a half', () => {
  const pauses = [1, 2, 3, 4, 2_000].map((failures) => backoffMs(chance(0), failures, 1_000, 5_000))
  expect(pauses).toEqual([500, 1_000, 2_000, 2_500, 2_500])
  expect(backoffMs(chance(255), 1, 1_000, 5_000)).toBe(999)
})
