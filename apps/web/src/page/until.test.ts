import { signal } from '@preact/signals'
import { describe, expect, it } from 'vitest'
import { until } from './until.ts'

const NEVER_MS = 60_000

describe('until', () => {
  it('ends when the value is as it is waited for, also if it was so before', async () => {
    const count = signal(1)
    expect(await until(count, (value) => value === 1, NEVER_MS)).toBe(true)
    const later = until(count, (value) => value === 3, NEVER_MS)
    count.value = 2
    count.value = 3
    expect(await later).toBe(true)
  })

  it('ends too when the value never is, and looks no more', async () => {
    const count = signal(1)
    let looks = 0
    const never = (): boolean => {
      looks += 1
      return false
    }
    expect(await until(count, never, 1)).toBe(false)
    count.value = 2
    expect(looks).toBe(1)
  })
})
