import { describe, expect, it } from 'vitest'
import { MAX_REPLAY_ENTRIES, MAX_REPLAY_WINDOWS } from './bounds.ts'
import { createReplayGuard } from './replay.ts'

describe('createReplayGuard', () => {
  it('takes a number once from each sender, in any order', () => {
    const guard = createReplayGuard()
    expect(guard.accept('a', 20, 0)).toBe('fresh')
    expect(guard.accept('a', 10, 0)).toBe('fresh')
    expect(guard.accept('b', 20, 0)).toBe('fresh')
    expect(guard.accept('a', 20, 0)).toBe('repeated')
    expect(guard.accept('a', 10, 0)).toBe('repeated')
  })

  it('never takes a number again however many came after it, and goes on taking new ones', () => {
    const guard = createReplayGuard()
    const count = MAX_REPLAY_ENTRIES * 3
    for (let number = 1; number <= count; number += 1) expect(guard.accept('a', number, 0)).toBe('fresh')
    for (let number = 1; number <= count; number += 1) expect(guard.accept('a', number, 0)).toBe('repeated')
    expect(guard.accept('a', count + 1, 0)).toBe('fresh')
  })

  it('forgets expired numbers rather than refusing late ones', () => {
    const guard = createReplayGuard()
    for (let number = 1; number <= MAX_REPLAY_ENTRIES; number += 1) guard.accept('a', number * 2, 0)
    const dead = MAX_REPLAY_ENTRIES * 2 - 10
    expect(guard.accept('a', dead + 3, dead)).toBe('fresh')
    expect(guard.accept('a', dead + 2, dead)).toBe('repeated')
  })

  it('refuses new senders when there are too many, until old ones have expired', () => {
    const guard = createReplayGuard()
    for (let i = 0; i < MAX_REPLAY_WINDOWS; i += 1) expect(guard.accept(`s${i}`, 100 + i, 0)).toBe('fresh')
    expect(guard.accept('late', 5_000, 99)).toBe('full')
    expect(guard.accept('s3', 6_000, 99)).toBe('fresh')
    expect(guard.accept('s3', 103, 99)).toBe('repeated')
    expect(guard.accept('late', 5_000, 100)).toBe('fresh')
    expect(guard.accept('later', 5_000, 100)).toBe('full')
  })
})
