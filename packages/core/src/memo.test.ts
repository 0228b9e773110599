import { expect, it } from 'vitest'
import { createMemo, remembered } from './memo.ts'

it('computes once, also what is undefined, until what was used last fills the memo', () => {
  const memo = createMemo<string | undefined>(2)
  const computed: string[] = []
  const ask = (key: string): string | undefined =>
    remembered(memo, key, () => {
      computed.push(key)
      return key === 'nothing' ? undefined : key
    })
  expect(['a', 'nothing', 'nothing', 'a', 'b', 'a', 'nothing'].map(ask)).toEqual([
    'a',
    undefined,
    undefined,
    'a',
    'b',
    'a',
    undefined,
  ])
  expect(computed).toEqual(['a', 'nothing', 'b', 'nothing'])
  expect(memo.known.size).toBe(2)
})
