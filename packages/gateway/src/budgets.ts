/** How often somebody may ask: a token bucket each, of a bounded number of those who ask. */
import { isIP } from 'node:net'
import { createTokenBucket, type TokenBucket } from '@plexus/p2p/wire'
import { MAX_BUDGETS, REQUESTS_PER_SECOND } from './bounds.ts'

export interface Budgets {
  /** Whether nothing is owed. */
  has(who: string): boolean
  /** Counts a request, also one beyond the budget. */
  charge(who: string): void
}

/** `now` in milliseconds. Of too many the one that was longest without a request is forgotten. */
export function createBudgets(now: () => number, burst: number): Budgets {
  const buckets = new Map<string, TokenBucket>()
  return {
    has: (who) => buckets.get(who)?.take(0) ?? true,
    charge(who) {
      const bucket = buckets.get(who) ?? createTokenBucket(now, REQUESTS_PER_SECOND, burst)
      buckets.delete(who)
      buckets.set(who, bucket)
      bucket.borrow()
      const [oldest] = buckets.keys()
      if (buckets.size > MAX_BUDGETS && oldest !== undefined) buckets.delete(oldest)
    },
  }
}

/** An IPv4 address, or the network of an IPv6 address that one subscriber has, its first 64 bits. */
export function subscriberOf(address: string): string {
  if (isIP(address) !== 6 || address.includes('.')) return address
  const [head = '', tail = ''] = address.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [left, right] = [groups(head), groups(tail)]
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  return [...left, ...zeros, ...right].slice(0, 4).join(':')
}
