import { describe, expect, it } from 'vitest'
import { createVirtualClock } from '../testing/virtual-clock.ts'
import { createTokenBucket } from './token-bucket.ts'

describe('token bucket', () => {
  it('gives the burst, then the rate, and never more than the burst', () => {
    const clock = createVirtualClock()
    const bucket = createTokenBucket(() => clock.now(), 2, 5)
    const takeAll = (): number => {
      let taken = 0
      while (bucket.take()) taken += 1
      return taken
    }
    expect(takeAll()).toBe(5)
    clock.advance(1_000)
    expect(takeAll()).toBe(2)
    clock.advance(60_000)
    expect(takeAll()).toBe(5)
    expect(bucket.take(0)).toBe(true)
  })

  it('lends, and says when it has what it lent', () => {
    const clock = createVirtualClock()
    const bucket = createTokenBucket(() => clock.now(), 10, 2)
    expect([bucket.borrow(), bucket.borrow(), bucket.borrow(), bucket.borrow()]).toEqual([0, 0, 100, 200])
    clock.advance(200)
    expect(bucket.borrow()).toBe(100)
  })

  it('gives nothing for a clock that was set back', () => {
    let now = 1_000_000
    const bucket = createTokenBucket(() => now, 1, 1)
    expect(bucket.take()).toBe(true)
    now -= 500_000
    expect(bucket.take()).toBe(false)
    now += 1_000
    expect(bucket.take()).toBe(true)
  })
})
