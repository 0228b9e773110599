import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { Answer } from './answer.ts'
import { MAX_REMEMBERED_SERVERS, MAX_REMEMBERED_TRANSACTIONS } from './bounds.ts'
import { createRepeats } from './repeats.ts'

const A = 'a.example' as ServerName
const B = 'b.example' as ServerName

function counting(): { readonly run: () => Promise<Answer>; readonly times: () => number } {
  let times = 0
  return { run: async () => ({ json: { times: (times += 1) } }), times: () => times }
}

describe('createRepeats', () => {
  it('gives the same request the same answer, also while it is made', async () => {
    const repeats = createRepeats()
    const { run, times } = counting()
    const answers = [repeats.once(A, '1', run), repeats.once(A, '1', run)]
    expect(await Promise.all(answers)).toEqual([{ json: { times: 1 } }, { json: { times: 1 } }])
    expect(await repeats.once(A, '1', run)).toEqual({ json: { times: 1 } })
    await repeats.once(A, '2', run)
    await repeats.once(B, '1', run)
    expect(times()).toBe(3)
  })

  it('forgets a failure', async () => {
    const repeats = createRepeats()
    await expect(repeats.once(A, '1', () => Promise.reject(new Error('full')))).rejects.toThrow('full')
    expect(await repeats.once(A, '1', counting().run)).toEqual({ json: { times: 1 } })
  })

  it('remembers so many of one server, and so many servers', async () => {
    const repeats = createRepeats()
    const first = counting()
    await repeats.once(A, '0', first.run)
    for (let index = 1; index < MAX_REMEMBERED_TRANSACTIONS; index += 1)
      await repeats.once(A, `${index}`, counting().run)
    await repeats.once(A, '0', first.run)
    expect(first.times()).toBe(1)
    await repeats.once(A, 'more', counting().run)
    await repeats.once(A, '0', first.run)
    expect(first.times()).toBe(2)
    for (let index = 0; index < MAX_REMEMBERED_SERVERS; index += 1)
      await repeats.once(`s${index}.example` as ServerName, '0', counting().run)
    await repeats.once(A, '0', first.run)
    expect(first.times()).toBe(3)
  })
})
