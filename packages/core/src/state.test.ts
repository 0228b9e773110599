import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyToState, splitStateKey, stateKey, type StateMap } from './state.ts'
import { NOWHERE } from './testing/decisions.ts'

describe('state maps', () => {
  it('keys never collide and split back', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (a, b, c, d) => {
        expect(splitStateKey(stateKey(a, b))).toEqual([a, b])
        expect(stateKey(a, b) === stateKey(c, d)).toBe(a === c && b === d)
      }),
    )
    expect(stateKey('a1:', 'b')).not.toBe(stateKey('a', '1:b'))
  })

  it('are not changed in place', () => {
    const before: StateMap = new Map()
    const after = applyToState(before, NOWHERE, { type: 'x', state_key: '' })
    expect([before.size, after.size]).toEqual([0, 1])
    expect(applyToState(after, NOWHERE, { type: 'x', state_key: '' })).toBe(after)
  })
})
