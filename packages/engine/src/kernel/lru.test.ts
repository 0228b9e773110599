import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLru } from './lru.ts'

describe('an LRU map', () => {
  it('forgets what was unused for longest', () => {
    const lru = createLru<string, number>(2)
    lru.set('a', 1)
    lru.set('b', 2)
    expect(lru.get('a')).toBe(1)
    lru.set('c', 3)
    expect(lru.get('b')).toBeUndefined()
    expect(lru.get('a')).toBe(1)
    expect(lru.get('c')).toBe(3)
  })

  it('behaves as a list ordered by use, whatever is done to it', () => {
    const key = fc.integer({ min: 0, max: 6 })
    const step = fc.oneof(
      fc.record({ kind: fc.constantFrom('get', 'set', 'delete'), key }),
      fc.record({ kind: fc.constant('clear'), key }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (capacity, steps) => {
        const lru = createLru<number, number>(capacity)
        let model: (readonly [number, number])[] = []
        steps.forEach(({ kind, key }, at) => {
          const others = model.filter(([one]) => one !== key)
          const found = model.find(([one]) => one === key)
          if (kind === 'get') {
            expect(lru.get(key)).toBe(found?.[1])
            if (found !== undefined) model = [...others, found]
          } else if (kind === 'set') {
            lru.set(key, at)
            model = [...others, [key, at] as const].slice(-capacity)
          } else if (kind === 'delete') {
            lru.delete(key)
            model = others
          } else {
            lru.clear()
            model = []
          }
        })
        for (const [key, value] of model) expect(lru.get(key)).toBe(value)
        const known = new Set(model.map(([key]) => key))
        for (let key = 0; key <= 6; key += 1) if (!known.has(key)) expect(lru.get(key)).toBeUndefined()
      }),
    )
  })
})
