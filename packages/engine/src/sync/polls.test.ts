import type { UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { Committer } from '../kernel/committer.ts'
import type { Clock } from '../ports.ts'
import { createPolls, MAX_WAITING_EACH } from './polls.ts'

describe('requests that wait', () => {
  const never = () => () => undefined
  const polls = createPolls({
    committer: { onCommit: never } as unknown as Committer,
    clock: { after: never } as unknown as Clock,
    sources: [],
  })
  const ask = (name: string, signal: AbortSignal): Promise<string> =>
    polls.until(`@${name}:a` as UserId, 1_000, signal, () =>
      Promise.resolve({ answer: 'nothing', empty: true }),
    )

  it('are not those of one user alone', async () => {
    const stop = new AbortController()
    const waiting = Array.from({ length: MAX_WAITING_EACH }, () => ask('alice', stop.signal))
    expect(await ask('alice', stop.signal)).toBe('nothing')
    waiting.push(ask('bob', stop.signal))
    expect(polls.waiting).toBe(MAX_WAITING_EACH + 1)
    stop.abort(new Error('enough'))
    const ends = await Promise.allSettled(waiting)
    expect(ends.every(({ status }) => status === 'rejected')).toBe(true)
    expect(polls.waiting).toBe(0)
  })

  it('do not begin to wait when they were given up before', async () => {
    await expect(ask('alice', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    expect(polls.waiting).toBe(0)
  })
})
