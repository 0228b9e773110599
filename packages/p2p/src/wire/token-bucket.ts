/** A rate with a burst: `perSecond` over time, at most `burst` at once. */
export interface TokenBucket {
  /** Takes `count` tokens if there are as many. */
  take(count?: number): boolean
  /** Takes one token, borrowed if need be; the milliseconds until it is there. */
  borrow(): number
}

export function createTokenBucket(now: () => number, perSecond: number, burst: number): TokenBucket {
  let tokens = burst
  let at = now()

  function refill(): void {
    const time = now()
    // A clock that was set back adds nothing.
    tokens = Math.min(burst, tokens + (Math.max(0, time - at) * perSecond) / 1_000)
    at = time
  }

  return {
    borrow() {
      refill()
      tokens -= 1
      return tokens >= 0 ? 0 : Math.ceil((-tokens * 1_000) / perSecond)
    },
    take(count = 1) {
      refill()
      if (tokens < count) return false
      tokens -= count
      return true
    },
  }
}
