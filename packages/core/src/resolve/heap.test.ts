import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createHeap } from './heap.ts'

const byNumber = (a: number, b: number): number => a - b

function drain<T>(pop: () => T | undefined): T[] {
  const items: T[] = []
  for (let next = pop(); next !== undefined; next = pop()) items.push(next)
  return items
}

describe('a heap', () => {
  it('gives what was pushed in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 }), (items) => {
        const heap = createHeap(byNumber)
        for (const item of items) heap.push(item)
        expect(drain(() => heap.pop())).toEqual(items.toSorted(byNumber))
      }),
    )
  })

  it('gives the smallest of what is in it between pushes', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer(), { nil: undefined }), { maxLength: 60 }), (steps) => {
        const heap = createHeap(byNumber)
        const model: number[] = []
        for (const step of steps) {
          if (step === undefined) {
            model.sort(byNumber)
            expect(heap.pop()).toBe(model.shift())
          } else {
            heap.push(step)
            model.push(step)
          }
        }
      }),
    )
  })

  it('compares no more than its depth asks for', () => {
    let compared = 0
    const heap = createHeap<number>((a, b) => {
      compared += 1
      return a - b
    })
    const count = 1_024
    for (let item = 0; item < count; item += 1) heap.push(item)
    // In order, an item stays where it was put.
    expect(compared).toBe(count - 1)
    compared = 0
    expect(drain(() => heap.pop())).toHaveLength(count)
    expect(compared).toBeLessThan(2 * count * Math.log2(count))
  })
})
