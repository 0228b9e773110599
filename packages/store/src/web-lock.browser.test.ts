import { afterEach, describe, expect, it } from 'vitest'
import type { OwnerLock } from './owner-lock.ts'
import { acquireWebLock } from './web-lock.ts'

describe('web lock', () => {
  const name = `plexus-test-${crypto.randomUUID()}`
  let held: (OwnerLock | undefined)[] = []
  const acquire = async (
    ...options: Parameters<typeof acquireWebLock> extends [string, ...infer Rest] ? Rest : never
  ) => {
    const lock = await acquireWebLock(name, ...options)
    held.push(lock)
    return lock
  }
  afterEach(async () => {
    for (const lock of held) await lock?.release()
    held = []
  })

  it('has one holder at a time', async () => {
    const first = await acquire()
    expect(first).toBeDefined()
    expect(await acquire()).toBeUndefined()
    await first?.release()
    await first?.release()
    expect(await acquire()).toBeDefined()
  })

  it('tells a holder that it lost the lock to a thief, once, and not that it released it', async () => {
    const lost: string[] = []
    const told = Promise.withResolvers<void>()
    const first = await acquire({
      onLost: () => {
        lost.push('first')
        told.resolve()
      },
    })
    const thief = await acquire({ steal: true, onLost: () => lost.push('thief') })
    expect(thief).toBeDefined()
    await told.promise
    await first?.release()
    expect(await acquire()).toBeUndefined()
    await thief?.release()
    expect(lost).toEqual(['first'])
  })

  it('waits for its holder to go when it is given a signal', async () => {
    const first = await acquire()
    const order: string[] = []
    const second = acquire({ signal: new AbortController().signal }).then((lock) => {
      order.push('second')
      return lock
    })
    const query = await navigator.locks.query()
    expect(query.pending?.filter((lock) => lock.name === name)).toHaveLength(1)
    order.push('release')
    await first?.release()
    expect(await second).toBeDefined()
    expect(order).toEqual(['release', 'second'])
  })

  it('gives up waiting with the reason of its signal', async () => {
    await acquire()
    const controller = new AbortController()
    const second = acquireWebLock(name, { signal: controller.signal })
    controller.abort(new Error('gave up'))
    await expect(second).rejects.toThrow('gave up')
    await expect(acquireWebLock(name, { signal: controller.signal })).rejects.toThrow('gave up')
  })

  it('is free again when the worker that held it is gone', async () => {
    const source = `navigator.locks.request(${JSON.stringify(name)}, () => { postMessage('held'); return new Promise(() => {}) })`
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
    const worker = new Worker(url)
    await new Promise((resolve) => worker.addEventListener('message', resolve, { once: true }))
    expect(await acquire()).toBeUndefined()
    worker.terminate()
    URL.revokeObjectURL(url)
    expect(await acquire({ signal: AbortSignal.timeout(5_000) })).toBeDefined()
  })
})
