import { describe, expect, it } from 'vitest'
import { aimWords, amount, figure, isMet, type Figure } from './figures.ts'

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)

describe('a figure', () => {
  it('has the nearest ranks of what was measured, in any order', () => {
    const { n, median, p95, min, max } = figure({ name: 'x', unit: 'ms', values: upTo(100).toReversed() })
    expect({ n, median, p95, min, max }).toEqual({ n: 100, median: 50.5, p95: 95, min: 1, max: 100 })
    expect(figure({ name: 'x', unit: 'ms', values: [3, 1, 2] }).median).toBe(2)
    expect(figure({ name: 'x', unit: 'ms', values: [7] })).toMatchObject({ median: 7, p95: 7 })
  })

  it('of a rate names what 95 of 100 reach', () => {
    expect(figure({ name: 'x', unit: '/s', values: upTo(100) }).p95).toBe(5)
  })

  it('is not made of nothing, nor of what is no number', () => {
    expect(() => figure({ name: 'x', unit: 'ms', values: [] })).toThrow('nothing was measured')
    expect(() => figure({ name: 'x', unit: 'ms', values: [1, Number.NaN] })).toThrow('nothing was measured')
  })
})

describe('an aim', () => {
  const times: Figure = figure({ name: 'x', unit: 'ms', values: [10, 20, 200] })
  const rates: Figure = figure({ name: 'x', unit: '/s', values: [900, 1_600, 1_700] })

  it('of a time is a most, of a rate a least', () => {
    expect(isMet(times, { of: 'median', limit: 20 })).toBe(true)
    expect(isMet(times, { of: 'p95', limit: 120 })).toBe(false)
    expect(isMet(rates, { of: 'median', limit: 1_500 })).toBe(true)
    expect(isMet(rates, { of: 'p95', limit: 1_500 })).toBe(false)
  })

  it('is said beside the figure', () => {
    const aims = [
      { of: 'median', limit: 40 },
      { of: 'p95', limit: 120 },
    ] as const
    expect(aimWords({ ...times, aims })).toBe('p50 <= 40 ok, p95 <= 120 MISSED')
    expect(aimWords({ ...rates, aims: [{ of: 'median', limit: 1_500 }] })).toBe('p50 >= 1,500 ok')
    expect(aimWords(times)).toBe('')
  })
})

describe('an amount', () => {
  it.each([
    [0.1234, '0.123'],
    [12.34, '12.3'],
    [123.4, '123'],
    [12_345.6, '12,346'],
  ])('%d is said as %s', (value, words) => {
    expect(amount(value)).toBe(words)
  })
})
