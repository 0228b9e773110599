import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeKey, encodeKey, prefixRange } from './keys.ts'

const number = fc.integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 })
const text = fc.string({ unit: 'binary' })

describe('encodeKey', () => {
  it('keeps the tuple', () => {
    fc.assert(
      fc.property(text, number, text, (a, b, c) => {
        expect(decodeKey(encodeKey([a, b, c]), ['s', 'n', 's'])).toEqual([a, b, c])
      }),
    )
  })

  it('uses only the code units that the store port allows', () => {
    fc.assert(fc.property(text, (a) => /^[\u0001-\u00ff]*$/.test(encodeKey([a]))))
  })

  it('sorts numbers as numbers', () => {
    fc.assert(fc.property(number, number, (a, b) => a < b === encodeKey([a]) < encodeKey([b])))
  })

  it('puts exactly the keys of a prefix into its range', () => {
    fc.assert(
      fc.property(text, text, text, (a, b, c) => {
        const [lo, hi] = prefixRange([a])
        const key = encodeKey([b, c])
        return (key >= lo && key < hi) === (a === b)
      }),
    )
  })

  it('refuses what is no integer below 2^52', () => {
    for (const bad of [1.5, Number.NaN, 2 ** 52, -(2 ** 52)])
      expect(() => encodeKey([bad])).toThrow(RangeError)
  })
})
