import type { Published } from '@plexus/p2p/wire'
import { describe, expect, it } from 'vitest'
import {
  ENOUGH_COPIES,
  MAX_PARALLEL_PUTS,
  MAX_WAITING_PUTS,
  REPUBLISH_CHECK_MS,
  REPUBLISH_MS,
} from './limits.ts'
import { createPublisher } from './publisher.ts'

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function start(servers = 20) {
  let now = 0
  const timers = new Set<{ at: number; run: () => void }>()
  const own = new Map<string, Published>()
  /** The end of the time that a put may take. */
  const limit = new AbortController()
  const state = {
    servers,
    takers: ENOUGH_COPIES,
    ends: true,
    put: [] as { key: string; at: number }[],
    underWay: 0,
  }
  const publisher = createPublisher({
    clock: {
      now: () => now,
      after(ms, run) {
        const timer = { at: now + ms, run }
        timers.add(timer)
        return () => timers.delete(timer)
      },
    },
    log: { log: () => undefined },
    records: { get: (key) => own.get(key), own: () => own.values() },
    servers: () => state.servers,
    async *put({ key }, signal) {
      state.put.push({ key, at: now })
      state.underWay += 1
      try {
        for (let n = 0; n < state.takers; n += 1) yield n
        if (!state.ends)
          await new Promise((_resolve, reject) =>
            AbortSignal.any([signal, limit.signal]).addEventListener(
              'abort',
              () => reject(new Error('stopped')),
              { once: true },
            ),
          )
      } finally {
        state.underWay -= 1
      }
    },
  })
  const add = (key: string): Published => {
    // The publisher looks at the key alone.
    const published = { key } as Published
    own.set(key, published)
    return published
  }
  const pass = async (ms: number): Promise<void> => {
    for (const end = now + ms; now < end;) {
      now += REPUBLISH_CHECK_MS
      for (const timer of timers) if (timer.at <= now && timers.delete(timer)) timer.run()
      await settle()
    }
  }
  return { publisher, state, own, add, pass, limit }
}

describe('the publisher', () => {
  it('puts what is new at once, and again every 12 hours', async () => {
    const { publisher, state, own, add, pass } = start()
    publisher.publish(add('a'))
    await settle()
    expect(state.put).toHaveLength(1)
    await pass(2 * REPUBLISH_MS)
    expect(state.put.map(({ at }) => at)).toEqual([0, REPUBLISH_MS, 2 * REPUBLISH_MS])
    own.clear()
    await pass(2 * REPUBLISH_MS)
    expect(state.put).toHaveLength(3)
    await publisher[Symbol.asyncDispose]()
  })

  it('puts again soon, ever more seldom, what too few servers took', async () => {
    const { publisher, state, add, pass } = start()
    state.takers = ENOUGH_COPIES - 1
    publisher.publish(add('a'))
    await settle()
    await pass(70 * 10_000)
    expect(state.put.map(({ at }) => at / 10_000)).toEqual([0, 1, 3, 7, 15, 31, 63])
    state.takers = ENOUGH_COPIES
    await pass(58 * 10_000)
    expect(state.put).toHaveLength(8)
    await pass(REPUBLISH_MS - 20_000)
    expect(state.put).toHaveLength(8)
    // A new record of the key is put at once.
    publisher.publish(add('a'))
    await settle()
    expect(state.put).toHaveLength(9)
    await publisher[Symbol.asyncDispose]()
  })

  it('is content with all servers where there are fewer, and waits where there is none', async () => {
    const { publisher, state, add, pass } = start(2)
    state.takers = 2
    publisher.publish(add('a'))
    await settle()
    await pass(600_000)
    expect(state.put).toHaveLength(1)
    state.servers = 0
    add('b')
    await pass(600_000)
    expect(state.put).toHaveLength(1)
    state.servers = 2
    await pass(10_000)
    expect(state.put.map(({ key }) => key)).toEqual(['a', 'b'])
    await publisher[Symbol.asyncDispose]()
  })

  it('puts again once there are more servers, until enough have it', async () => {
    const { publisher, state, add, pass } = start(2)
    state.takers = 2
    publisher.publish(add('a'))
    await settle()
    for (const servers of [3, ENOUGH_COPIES]) {
      state.takers = servers
      state.servers = servers
      await pass(10_000)
    }
    expect(state.put).toHaveLength(3)
    state.servers = 100
    await pass(600_000)
    expect(state.put).toHaveLength(3)
    await publisher[Symbol.asyncDispose]()
  })

  it('puts one record of a key at a time, and counts who took it though not all could be told', async () => {
    const { publisher, state, add, pass, limit } = start()
    state.ends = false
    publisher.publish(add('a'))
    await pass(600_000)
    publisher.publish(add('a'))
    await settle()
    expect(state.put).toHaveLength(1)
    state.ends = true
    limit.abort()
    await settle()
    expect(state.put).toHaveLength(2)
    await pass(600_000)
    expect(state.put).toHaveLength(2)
    await publisher[Symbol.asyncDispose]()
  })

  it('puts few at once, and lets so many wait', async () => {
    const { publisher, state, add, pass } = start()
    state.ends = false
    for (let n = 0; n < MAX_WAITING_PUTS + 100; n += 1) publisher.publish(add(`key ${n}`))
    await settle()
    expect(state.underWay).toBe(MAX_PARALLEL_PUTS)
    await pass(10_000)
    expect(state.put).toHaveLength(MAX_PARALLEL_PUTS)
    await publisher[Symbol.asyncDispose]()
    expect(state.put).toHaveLength(MAX_PARALLEL_PUTS)
  })
})
