import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createGenerations } from './generations.ts'

describe('a map of two generations', () => {
  it('never answers with an old or deleted value, keeps what was used last, and holds a bounded number', () => {
    const key = fc.nat(30)
    const step = fc.record({ kind: fc.constantFrom('get', 'set', 'delete', 'clear'), key })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 200 }), (capacity, steps) => {
        const map = createGenerations<number, number>(capacity)
        const values = new Map<number, number>()
        let used: number[] = []
        steps.forEach(({ kind, key }, at) => {
          const use = () => {
            used = [...used.filter((one) => one !== key), key]
          }
          if (kind === 'clear') {
            map.clear()
            values.clear()
            used = []
          } else if (kind === 'delete') {
            map.delete(key)
            values.delete(key)
          } else if (kind === 'set') {
            map.set(key, at)
            values.set(key, at)
            use()
          } else if (map.get(key) !== undefined) {
            expect(map.get(key)).toBe(values.get(key))
            use()
          }
        })
        // A full young generation becomes the old one, so the last `capacity` are in one of the two; a deleted key had
        // its place among them, for it was there when the generation filled up.
        for (const one of used.slice(-capacity)) expect(map.get(one)).toBe(values.get(one))
        let held = 0
        for (let one = 0; one <= 30; one += 1) {
          const value = map.get(one)
          if (value !== undefined) expect(value).toBe(values.get(one))
          held += Number(value !== undefined)
        }
        expect(held).toBeLessThanOrEqual(31)
      }),
    )
    const map = createGenerations<number, number>(100)
    for (let one = 0; one < 10_000; one += 1) map.set(one, one)
    const held = Array.from({ length: 10_000 }, (_, one) => map.get(one)).filter((one) => one !== undefined)
    expect(held.length).toBeGreaterThanOrEqual(100)
    expect(held.length).toBeLessThanOrEqual(200)
  })
})
