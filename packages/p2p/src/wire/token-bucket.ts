/** A rate with a burst: `perSecond` over time, at most `burst` at once. */
export interface TokenBucket {
  /** Takes `count` tokens if there are as many. */
  take(count?: number): boolean
}

export function createTokenBucket(now: () => number, perSecond: number, burst: number): TokenBucket {
  let tokens = burst
  let at = now()
  return {
    take(count = 1) {
      const time = now()
      // A clock that was set back adds nothing.
      tokens = Math.min(burst, tokens + (Math.max(0, time - at) * perSecond) / 1_000)
      at = time
      if (tokens < count) return false
      tokens -= count
      return true
    },
  }
}
