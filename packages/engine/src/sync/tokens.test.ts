import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MAX_ORDER,
  formatSyncToken,
  formatTimelineToken,
  parseSyncToken,
  parseTimelineToken,
} from './tokens.ts'

describe('tokens', () => {
  it('come back as they were', () => {
    const number = fc.integer({ min: 0, max: 10 ** 15 - 1 })
    fc.assert(
      fc.property(number, number, number, (position, serial, lag) => {
        const token = { position, serial, toDevice: Math.min(position, lag) }
        expect(parseSyncToken(formatSyncToken(token))).toEqual(token)
      }),
    )
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 49), max: 2 ** 49 }), (order) => {
        expect(parseTimelineToken(formatTimelineToken(order))).toBe(order)
      }),
    )
  })

  it('of the stream need only the position', () => {
    expect(parseSyncToken('s12')).toEqual({ position: 12, serial: 0, toDevice: 12 })
    expect(parseSyncToken('s12_3.7')).toEqual({ position: 12, serial: 3, toDevice: 12 })
    expect(parseSyncToken('s12_3_99')).toEqual({ position: 12, serial: 3, toDevice: 12 })
  })

  it.each(['', 's', 's-1', 's1.5', 's1e3', 's1_', 's1_2_3_4', 't1', ' s1', 's1\n', `s${'9'.repeat(16)}`])(
    'of the stream are not %j',
    (text) => {
      expect(parseSyncToken(text)).toBeUndefined()
    },
  )

  it.each(['', 't', 't--1', 't1.5', 's1', `t${MAX_ORDER + 1}`, `t${'9'.repeat(16)}`])(
    'of a timeline are not %j',
    (text) => {
      expect(parseTimelineToken(text)).toBeUndefined()
    },
  )
})
