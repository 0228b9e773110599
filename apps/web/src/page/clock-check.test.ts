import { MAX_CLOCK_SKEW_MS } from '@plexus/core/names'
import { describe, expect, it } from 'vitest'
import { CHECK_INTERVAL_MS, MAX_DIFFERENCE_MS, watchClock, WRONG_INTERVAL_MS } from './clock-check.ts'

const MINUTE = 60_000
const SERVER = Date.UTC(2026, 10, 20, 12)

describe('the check of the clock', () => {
  /** What this device's clock is ahead after it has asked that often, and what comes of it. */
  const checked = async (
    aheadMs: number,
    answer: Record<string, string> | Error = { date: new Date(SERVER).toUTCString() },
  ): Promise<{ readonly ahead: number; readonly next: number | undefined }> => {
    let next: number | undefined
    const asked = Promise.withResolvers<void>()
    const clock = {
      now: () => SERVER + aheadMs,
      after: (ms: number) => {
        next = ms
        asked.resolve()
        return () => undefined
      },
    }
    const ahead = watchClock({
      clock,
      ask: async () => {
        if (answer instanceof Error) throw answer
        return { headers: new Headers(answer) }
      },
    })
    await asked.promise
    return { ahead: ahead.value, next }
  }

  it('tells of a clock that is too far ahead or behind, and looks again soon', async () => {
    expect(await checked(12 * MINUTE)).toEqual({ ahead: 12 * MINUTE, next: WRONG_INTERVAL_MS })
    expect(await checked(-6 * MINUTE)).toEqual({ ahead: -6 * MINUTE, next: WRONG_INTERVAL_MS })
  })

  it('is content with what others take', async () => {
    expect(MAX_DIFFERENCE_MS).toBe(MAX_CLOCK_SKEW_MS)
    for (const ms of [0, MAX_DIFFERENCE_MS, -MAX_DIFFERENCE_MS])
      expect(await checked(ms)).toEqual({ ahead: 0, next: CHECK_INTERVAL_MS })
  })

  it('counts the time that an answer lay in a cache', async () => {
    const date = new Date(SERVER - 12 * MINUTE).toUTCString()
    expect((await checked(0, { date, age: '720' })).ahead).toBe(0)
    expect((await checked(0, { date })).ahead).toBe(12 * MINUTE)
  })

  it.each([{}, { date: 'x' }, { date: new Date(0).toUTCString(), age: 'x' }, new Error('away')])(
    'knows nothing by %o',
    async (answer) => {
      expect(await checked(0, answer)).toEqual({ ahead: 0, next: CHECK_INTERVAL_MS })
    },
  )
})
