import { describe, expect, it } from 'vitest'
import { DEFAULT_RATE_LIMITS, MAX_BUCKETS, UNLIMITED, createRateLimiter } from './rate-limit.ts'

describe('rate limiter', () => {
  it('keeps a bounded number of buckets, the least recently used go first', () => {
    const limiter = createRateLimiter({ now: () => 0, after: () => () => undefined }, DEFAULT_RATE_LIMITS)
    for (let index = 0; index < MAX_BUCKETS + 100; index += 1) limiter.take('message', `user ${index}`)
    expect(limiter.size).toBe(MAX_BUCKETS)
  })

  it('counts each user and class alone', () => {
    const limits = { ...DEFAULT_RATE_LIMITS, message: { burst: 1, perSecond: 1 } }
    const limiter = createRateLimiter({ now: () => 0, after: () => () => undefined }, limits)
    expect(limiter.take('message', 'a')).toBe(0)
    expect(limiter.take('message', 'a')).toBe(1000)
    expect(limiter.take('message', 'b')).toBe(0)
    expect(limiter.take('lookup', 'a')).toBe(0)
    expect(limiter.take('none', 'a')).toBe(0)
  })

  it('does not fill up when the clock runs backwards', () => {
    let now = 10_000
    const limits = { ...DEFAULT_RATE_LIMITS, message: { burst: 1, perSecond: 1 } }
    const limiter = createRateLimiter({ now: () => now, after: () => () => undefined }, limits)
    limiter.take('message', 'a')
    now = 0
    expect(limiter.take('message', 'a')).toBe(1000)
  })

  it('limits nothing where there is no limit', () => {
    const limiter = createRateLimiter({ now: () => 0, after: () => () => undefined }, UNLIMITED)
    for (let count = 0; count < 1_000; count += 1) expect(limiter.take('login', 'alice')).toBe(0)
    expect(limiter.size).toBe(0)
  })
})
