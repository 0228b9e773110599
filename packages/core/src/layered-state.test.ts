import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventId } from './ids.ts'
import { changeState, differingKeys, MAX_LAYER_SIZE, stateDifference } from './layered-state.ts'
import { applyToState, stateKey, type StateKey, type StateMap } from './state.ts'

/** Random rooms take a while on a busy machine. */
const PROPERTY_MS = 60_000

const key = (n: number): StateKey => stateKey('t', String(n))
const id = (n: number): EventId => `$${n}` as EventId
const plain = (size: number): StateMap => new Map(Array.from({ length: size }, (_, n) => [key(n), id(n)]))
const sorted = (state: Iterable<[StateKey, EventId]>): string[] =>
  Array.from(state, (entry) => entry.join(' ')).sort()

describe('a changed state', () => {
  it(
    'is what a copied map would be, however often it is changed',
    () => {
      const change = fc.tuple(fc.nat(40), fc.option(fc.nat(5), { nil: undefined }))
      fc.assert(
        fc.property(
          fc.nat(30),
          fc.array(fc.array(change, { maxLength: 5 }), { maxLength: 60 }),
          (size, steps) => {
            let state = plain(size)
            const expected = new Map(state)
            for (const step of steps) {
              const before = sorted(state)
              const changed = changeState(
                state,
                new Map(step.map(([k, v]) => [key(k), v === undefined ? undefined : id(v)])),
              )
              expect(sorted(state)).toEqual(before)
              state = changed
              for (const [k, v] of step) {
                if (v === undefined) expected.delete(key(k))
                else expected.set(key(k), id(v))
              }
            }
            expect(sorted(state)).toEqual(sorted(expected))
            expect(state.size).toBe(expected.size)
            expect([...state.keys()].sort()).toEqual([...expected.keys()].sort())
            expect([...state.values()].sort()).toEqual([...expected.values()].sort())
            const visited: [StateKey, EventId][] = []
            state.forEach((value, k) => visited.push([k, value]))
            expect(sorted(visited)).toEqual(sorted(expected))
            for (let k = 0; k <= 40; k += 1) {
              expect(state.get(key(k))).toBe(expected.get(key(k)))
              expect(state.has(key(k))).toBe(expected.has(key(k)))
            }
          },
        ),
      )
    },
    PROPERTY_MS,
  )

  it('keeps at most MAX_LAYER_SIZE places apart from a base that it shares', () => {
    const base = plain(1000)
    let state = base
    const bases = new Set<unknown>()
    for (let n = 0; n < 3 * MAX_LAYER_SIZE; n += 1) {
      state = applyToState(state, id(-1), { type: 't', state_key: String(n) })
      bases.add('base' in state ? state.base : state)
    }
    expect(bases.has(base)).toBe(true)
    expect(bases.size).toBe(3)
  })
})

describe('differences', () => {
  it(
    'are those of the maps, whether a base is shared or not',
    () => {
      const change = fc.array(fc.tuple(fc.nat(20), fc.option(fc.nat(5), { nil: undefined })), {
        maxLength: 6,
      })
      fc.assert(
        fc.property(fc.nat(20), fc.array(change, { minLength: 2, maxLength: 4 }), (size, changes) => {
          const base = plain(size)
          const layered = changes.map((list) =>
            changeState(base, new Map(list.map(([k, v]) => [key(k), v === undefined ? undefined : id(v)]))),
          )
          const copies = layered.map((state) => new Map(state))
          const all = new Set(copies.flatMap((copy) => [...copy.keys()]))
          const expected = [...all].filter((k) => new Set(copies.map((copy) => copy.get(k))).size > 1).sort()
          expect([...differingKeys(layered)].sort()).toEqual(expected)
          expect([...differingKeys(copies)].sort()).toEqual(expected)
          const [from, to] = [layered[0] ?? base, layered[1] ?? base]
          for (const { key: k, from: left, to: right } of stateDifference(from, to)) {
            expect([from.get(k), to.get(k)]).toEqual([left, right])
          }
          expect(stateDifference(from, to)).toEqual(stateDifference(new Map(from), new Map(to)))
          expect(stateDifference(from, from)).toEqual([])
        }),
      )
      expect(differingKeys([])).toEqual(new Set())
    },
    PROPERTY_MS,
  )
})
