import { describe, expect, it } from 'vitest'
import { createVirtualClock } from '../testing/virtual-clock.ts'
import { createHeartbeat, DEAD_AFTER_MS, PING_INTERVAL_MS, PROBE_MS } from './heartbeat.ts'

function start() {
  const clock = createVirtualClock()
  const pings: number[] = []
  const trips: number[] = []
  const state = { dead: false }
  const heartbeat = createHeartbeat({
    clock,
    ping: (id) => pings.push(id),
    dead: () => {
      state.dead = true
    },
    roundTrip: (ms) => trips.push(ms),
  })
  return { clock, pings, trips, state, heartbeat }
}

describe('heartbeat', () => {
  it('pings at once and then at intervals, and measures the answers', () => {
    const { clock, pings, trips, heartbeat } = start()
    clock.advance(40)
    heartbeat.pong(pings[0] ?? 0)
    clock.advance(2 * PING_INTERVAL_MS)
    expect(pings).toHaveLength(3)
    expect(trips).toEqual([40])
    heartbeat.pong(pings[0] ?? 0)
    expect(trips).toEqual([40])
  })

  it('tells a silent side dead', () => {
    const { clock, state } = start()
    clock.advance(DEAD_AFTER_MS - 1)
    expect(state.dead).toBe(false)
    clock.advance(2 * PING_INTERVAL_MS)
    expect(state.dead).toBe(true)
  })

  it('hears anything as a sign of life', () => {
    const { clock, state, heartbeat } = start()
    for (let turn = 0; turn < 20; turn += 1) {
      clock.advance(DEAD_AFTER_MS / 2)
      heartbeat.heard()
    }
    expect(state.dead).toBe(false)
  })

  it('takes its own late timer for no evidence: a frozen tab does not cut its connections', () => {
    const { clock, state, pings } = start()
    clock.freeze(10 * DEAD_AFTER_MS)
    expect(state.dead).toBe(false)
    expect(pings.length).toBeGreaterThan(1)
    clock.advance(DEAD_AFTER_MS - PING_INTERVAL_MS)
    expect(state.dead).toBe(false)
    clock.advance(3 * PING_INTERVAL_MS)
    expect(state.dead).toBe(true)
  })

  it('finds out soon when it is asked to', () => {
    const { clock, state, heartbeat } = start()
    clock.advance(1_000)
    heartbeat.probe()
    clock.advance(PROBE_MS - 1)
    heartbeat.heard()
    clock.advance(1)
    expect(state.dead).toBe(false)
    heartbeat.probe()
    heartbeat.probe()
    clock.advance(PROBE_MS)
    expect(state.dead).toBe(true)
  })

  it('is silent once stopped', () => {
    const { clock, pings, state, heartbeat } = start()
    heartbeat.stop()
    clock.advance(10 * DEAD_AFTER_MS)
    expect(pings).toHaveLength(1)
    expect(state.dead).toBe(false)
  })
})
