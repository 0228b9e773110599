import { describe, expect, it } from 'vitest'
import { createBackoff } from './backoff.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'

/** The highest draw each time: waits are as long as they can be. */
const highest = { bytes: (length: number) => new Uint8Array(length).fill(255) }
const lowest = { bytes: (length: number) => new Uint8Array(length) }
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function waited(random: typeof highest, turns: number): Promise<number[]> {
  const clock = createVirtualClock()
  const backoff = createBackoff(clock, random, { firstMs: 1_000, maxMs: 30_000 })
  const never = new AbortController().signal
  const waits: number[] = []
  for (let turn = 0; turn < turns; turn += 1) {
    const start = clock.now()
    let done = false
    void backoff.wait(never).then(() => {
      done = true
    })
    while (!done) {
      clock.advance(50)
      await settle()
    }
    waits.push(clock.now() - start)
  }
  return waits
}

describe('back-off', () => {
  it('doubles its ceiling up to a bound', async () => {
    expect(await waited(highest, 8)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  })

  it('waits a tenth of the ceiling at least', async () => {
    expect(await waited(lowest, 4)).toEqual([100, 200, 400, 800])
  })

  it('ends with a kick, now or the next time, and begins anew', async () => {
    const clock = createVirtualClock()
    const backoff = createBackoff(clock, highest, { firstMs: 1_000, maxMs: 30_000 })
    const { signal } = new AbortController()
    const first = backoff.wait(signal)
    backoff.kick()
    await first
    backoff.kick()
    await backoff.wait(signal)
    const third = backoff.wait(signal)
    clock.advance(1_000)
    await third
  })

  it('without a time waits for a kick only', async () => {
    const clock = createVirtualClock()
    const backoff = createBackoff(clock, highest, { firstMs: 1_000, maxMs: 30_000 })
    let done = false
    const wait = backoff.wait(new AbortController().signal, false).then(() => {
      done = true
    })
    clock.advance(10_000_000)
    await settle()
    expect(done).toBe(false)
    backoff.kick()
    await wait
  })

  it('ends with its signal', async () => {
    const stop = new AbortController()
    const wait = createBackoff(createVirtualClock(), highest, { firstMs: 1_000, maxMs: 2_000 }).wait(
      stop.signal,
    )
    stop.abort()
    await wait
  })
})
