import { describe, expect, it } from 'vitest'
import { MAX_REPLAY_ENTRIES, MAX_REPLAY_WINDOWS, MAX_REPLAY_WINDOWS_OF_SERVER } from './bounds.ts'
import { createReplayGuard } from './replay.ts'

describe('createReplayGuard', () => {
  it('takes a number once from each sender, in any order', () => {
    const guard = createReplayGuard()
    expect(guard.accept('a', 'i', 20, 0)).toBe('fresh')
    expect(guard.accept('a', 'i', 10, 0)).toBe('fresh')
    expect(guard.accept('b', 'i', 20, 0)).toBe('fresh')
    expect(guard.accept('a', 'i', 20, 0)).toBe('repeated')
    expect(guard.accept('a', 'i', 10, 0)).toBe('repeated')
  })

  it('never takes a number again however many came after it, and goes on taking new ones', () => {
    const guard = createReplayGuard()
    const count = MAX_REPLAY_ENTRIES * 3
    for (let number = 1; number <= count; number += 1) expect(guard.accept('a', 'i', number, 0)).toBe('fresh')
    for (let number = 1; number <= count; number += 1)
      expect(guard.accept('a', 'i', number, 0)).toBe('repeated')
    expect(guard.accept('a', 'i', count + 1, 0)).toBe('fresh')
  })

  it('forgets expired numbers rather than refusing late ones', () => {
    const guard = createReplayGuard()
    for (let number = 1; number <= MAX_REPLAY_ENTRIES; number += 1) guard.accept('a', 'i', number * 2, 0)
    const dead = MAX_REPLAY_ENTRIES * 2 - 10
    expect(guard.accept('a', 'i', dead + 3, dead)).toBe('fresh')
    expect(guard.accept('a', 'i', dead + 2, dead)).toBe('repeated')
  })

  it('refuses new senders when there are too many, until old ones have expired', () => {
    const guard = createReplayGuard()
    for (let i = 0; i < MAX_REPLAY_WINDOWS; i += 1)
      expect(guard.accept(`s${i}`, 'i', 100 + i, 0)).toBe('fresh')
    expect(guard.accept('late', 'i', 5_000, 99)).toBe('full')
    expect(guard.accept('s3', 'i', 6_000, 99)).toBe('fresh')
    expect(guard.accept('s3', 'i', 103, 99)).toBe('repeated')
    expect(guard.accept('late', 'i', 5_000, 100)).toBe('fresh')
    expect(guard.accept('later', 'i', 5_000, 100)).toBe('full')
  })
  it('lets no server keep others out, however many incarnations it names', () => {
    const guard = createReplayGuard()
    const flood = (dead: number): string[] =>
      Array.from({ length: MAX_REPLAY_WINDOWS }, (_, i) => guard.accept('flood', `i${i}`, 100, dead))
    expect(flood(0).filter((verdict) => verdict === 'fresh')).toHaveLength(MAX_REPLAY_WINDOWS_OF_SERVER)
    expect(guard.accept('other', 'i', 100, 0)).toBe('fresh')
    expect(guard.accept('flood', 'i0', 100, 0)).toBe('repeated')
    // Its own come again when the old ones have expired.
    expect(guard.accept('flood', 'new', 200, 100)).toBe('fresh')
  })
})
