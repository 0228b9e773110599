import { describe, expect, it } from 'vitest'
import { createReadCache } from './read-cache.ts'

describe('a read cache', () => {
  it('reads once, and again after a change', async () => {
    const cache = createReadCache<number>(10)
    let reads = 0
    const read = (): Promise<number> => {
      reads += 1
      return Promise.resolve(reads)
    }
    expect([await cache.get('a', read), await cache.get('a', read)]).toEqual([1, 1])
    cache.drop('a')
    expect(await cache.get('a', read)).toBe(2)
    cache.drop('b')
    expect(await cache.get('a', read)).toBe(2)
  })

  it('does not keep what was read while it changed', async () => {
    const cache = createReadCache<string>(10)
    let finish: (value: string) => void = () => undefined
    const slow = cache.get(
      'a',
      () =>
        new Promise((resolve) => {
          finish = resolve
        }),
    )
    cache.drop('a')
    finish('old')
    expect(await slow).toBe('old')
    expect(await cache.get('a', () => Promise.resolve('new'))).toBe('new')
  })

  it('knows what is absent, too', async () => {
    const cache = createReadCache<undefined>(10)
    await cache.get('a', () => Promise.resolve(undefined))
    expect(await cache.get('a', () => Promise.reject(new Error('read again')))).toBeUndefined()
  })
})
