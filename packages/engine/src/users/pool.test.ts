import { describe, expect, it } from 'vitest'
import { mapPool } from './pool.ts'

describe('mapPool', () => {
  it('keeps the order and the width', async () => {
    let running = 0
    let widest = 0
    const results = await mapPool([5, 4, 3, 2, 1], 2, async (turns) => {
      running += 1
      widest = Math.max(widest, running)
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
      running -= 1
      return turns * 10
    })
    expect(results).toEqual([50, 40, 30, 20, 10])
    expect(widest).toBe(2)
  })

  it('throws what the work throws', async () => {
    await expect(mapPool([1], 3, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  })
})
