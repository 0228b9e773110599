import { describe, expect, it } from 'vitest'
import { createSortedMap } from './sorted-map.ts'

describe('sorted map', () => {
  it('keeps order over many chunks, through insertions and deletions from both ends and the middle', () => {
    const map = createSortedMap()
    const model = new Map<string, string>()
    const key = (index: number): string => String((index * 48_271) % 65_537)
    for (let index = 1; index <= 6_000; index += 1) {
      map.set(key(index), String(index))
      model.set(key(index), String(index))
    }
    for (let index = 1; index <= 6_000; index += 1) {
      if (index % 3 !== 0 && index > 200) continue
      map.delete(key(index))
      model.delete(key(index))
    }
    const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1))
    expect(map.range('', ':', undefined, false)).toEqual(sorted)
    expect(map.range('', ':', undefined, true)).toEqual(sorted.toReversed())
    for (const lo of ['0', '13', '2', '29999', '64', '9']) {
      const inside = sorted.filter(([each]) => each >= lo && each < '7')
      expect(map.range(lo, '7', 700, false)).toEqual(inside.slice(0, 700))
      expect(map.range(lo, '7', 700, true)).toEqual(inside.toReversed().slice(0, 700))
    }
    for (const [each] of sorted) map.delete(each)
    expect(map.range('', ':', undefined, false)).toEqual([])
    map.set('a', '1')
    expect(map.range('', 'b', undefined, true)).toEqual([['a', '1']])
  })
})
