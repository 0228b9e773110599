import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createStillTyping, SPOKE_MS } from './still-typing.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('the notice that somebody types', () => {
  it('is hidden when their message comes, and may stand again a little later', () => {
    const changed = vi.fn<() => void>()
    const typing = createStillTyping(changed)
    typing.newest('$1', '@ada:a')
    expect(typing.isQuiet('@ada:a')).toBe(false)
    typing.newest('$2', '@ada:a')
    typing.newest('$2', '@ada:a')
    expect([typing.isQuiet('@ada:a'), typing.isQuiet('@bob:a')]).toEqual([true, false])
    vi.advanceTimersByTime(SPOKE_MS - 1)
    expect(changed).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(changed).toHaveBeenCalledOnce()
    expect(typing.isQuiet('@ada:a')).toBe(false)
  })

  it('is hidden for the whole time after the last of several messages', () => {
    const changed = vi.fn<() => void>()
    const typing = createStillTyping(changed)
    typing.newest(undefined, undefined)
    typing.newest('$1', '@ada:a')
    vi.advanceTimersByTime(SPOKE_MS - 1)
    typing.newest('$2', '@ada:a')
    vi.advanceTimersByTime(SPOKE_MS - 1)
    expect([typing.isQuiet('@ada:a'), changed.mock.calls.length]).toEqual([true, 0])
  })
})
