import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RangeOptions, Store, Write } from '@plexus/engine/ports'
import type { Place } from './store-contract.ts'

type Model = Map<string, string>

type Step =
  | { readonly kind: 'commit'; readonly writes: readonly Write[]; readonly durability: 'relaxed' | 'strict' }
  | {
      readonly kind: 'range'
      readonly map: string
      readonly lo: string
      readonly hi: string
      readonly options: RangeOptions
    }
  | { readonly kind: 'get'; readonly map: string; readonly keys: readonly string[] }
  | { readonly kind: 'reopen' }

/** Few letters, so that keys collide and are prefixes of each other; the last two differ in UTF-8 length. */
const letter = fc.constantFrom('\u0001', '\u0002', 'a', 'b', '\u007f', '\u0080', '\u00ff')
const key = fc.array(letter, { maxLength: 4 }).map((letters) => letters.join(''))
const map = fc.constantFrom('m', 'mm', 'n')
const value = fc.option(fc.string({ unit: 'grapheme', maxLength: 5 }), { nil: undefined })
const options = fc.record(
  { limit: fc.integer({ min: 0, max: 6 }), reverse: fc.boolean() },
  { requiredKeys: [] },
) satisfies fc.Arbitrary<RangeOptions>

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      writes: fc.array(fc.record({ map, key, value }), { maxLength: 12 }),
      durability: fc.constantFrom('relaxed' as const, 'strict' as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('range' as const), map, lo: key, hi: key, options }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('get' as const), map, keys: fc.array(key, { maxLength: 5 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
)

const RUNS = 40

export function modelCases(place: Place): void {
  describe('model', () => {
    it('agrees with a plain map, sorted at each look', { timeout: 60_000 }, async () => {
      let store = await place.open()
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
          const model: Model = new Map()
          const suffix = `.${run}`
          run += 1
          for (const each of steps) {
            if (each.kind === 'reopen') {
              await store.close()
              store = await place.open()
            } else await play(store, model, each, suffix)
          }
        }),
        { numRuns: RUNS },
      )
      expect(run).toBeGreaterThanOrEqual(RUNS)
    })
  })
}

/** Maps are named anew for each run, so that all runs share a store. */
async function play(
  store: Store,
  model: Model,
  step: Exclude<Step, { kind: 'reopen' }>,
  suffix: string,
): Promise<void> {
  if (step.kind === 'commit') {
    await store.commit(
      step.writes.map((write) => ({ ...write, map: write.map + suffix })),
      step.durability,
    )
    for (const write of step.writes) {
      const place = `${write.map}/${write.key}`
      if (write.value === undefined) model.delete(place)
      else model.set(place, write.value)
    }
  } else if (step.kind === 'get') {
    const expected = step.keys.map((each) => model.get(`${step.map}/${each}`))
    expect(await store.getMany(step.map + suffix, step.keys)).toEqual(expected)
  } else {
    expect(await store.range(step.map + suffix, step.lo, step.hi, step.options)).toEqual(rangeOf(model, step))
  }
}

function rangeOf(
  model: Model,
  { map, lo, hi, options }: Extract<Step, { kind: 'range' }>,
): [string, string][] {
  const inMap = [...model].filter(([place]) => place.startsWith(`${map}/`))
  const entries = inMap.map(([place, value]): [string, string] => [place.slice(map.length + 1), value])
  const inside = entries.filter(([key]) => key >= lo && key < hi).sort(([a], [b]) => (a < b ? -1 : 1))
  if (options.reverse === true) inside.reverse()
  return inside.slice(0, options.limit ?? inside.length)
}
