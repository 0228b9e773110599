/** Token buckets, one per rate class and user. */
import type { Clock } from '@plexus/engine/ports'

/**
 * `none`: not limited. `login`: makes or proves accounts. `message`: makes events. `media`: uploads.
 * `lookup`: asks other servers.
 */
export type RateClass = 'none' | 'login' | 'message' | 'media' | 'lookup'

export type RateLimit = { readonly burst: number; readonly perSecond: number }

export type RateLimits = Readonly<Record<Exclude<RateClass, 'none'>, RateLimit>>

/** Generous enough for one person with several clients, tight enough to stop a loop. */
export const DEFAULT_RATE_LIMITS: RateLimits = {
  login: { burst: 20, perSecond: 0.5 },
  message: { burst: 200, perSecond: 50 },
  media: { burst: 50, perSecond: 5 },
  lookup: { burst: 50, perSecond: 10 },
}

const NO_LIMIT: RateLimit = { burst: Infinity, perSecond: Infinity }
/** For nodes whose clients are all trusted, and for measuring. */
export const UNLIMITED: RateLimits = { login: NO_LIMIT, message: NO_LIMIT, media: NO_LIMIT, lookup: NO_LIMIT }

/** Buckets kept at a time; the least recently used one goes first, full or not. */
export const MAX_BUCKETS = 10_000

type Bucket = { tokens: number; at: number }

export interface RateLimiter {
  /** Takes one token: 0 when it may go on, else the milliseconds after which to try again. */
  take(rateClass: RateClass, who: string): number
  /** Buckets kept. */
  readonly size: number
}

export function createRateLimiter(clock: Clock, limits: RateLimits): RateLimiter {
  const buckets = new Map<string, Bucket>()
  return {
    take(rateClass, who) {
      if (rateClass === 'none') return 0
      const { burst, perSecond } = limits[rateClass]
      if (burst === Infinity) return 0
      const key = `${rateClass} ${who}`
      const at = clock.now()
      const last = buckets.get(key) ?? { tokens: burst, at }
      const tokens = Math.min(burst, last.tokens + (Math.max(0, at - last.at) / 1000) * perSecond)
      const allowed = tokens >= 1
      buckets.delete(key)
      buckets.set(key, { tokens: allowed ? tokens - 1 : tokens, at })
      for (const oldest of buckets.keys()) {
        if (buckets.size <= MAX_BUCKETS) break
        buckets.delete(oldest)
      }
      return allowed ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1000)
    },
    get size() {
      return buckets.size
    },
  }
}
