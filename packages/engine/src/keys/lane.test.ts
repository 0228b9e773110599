import { describe, expect, it } from 'vitest'
import { createLane, type Lane } from './lane.ts'

/** Notes who has a turn, in order, and who is turned away (`-`). */
function follow(lane: Lane): {
  readonly events: string[]
  come: (...names: readonly string[]) => Promise<void>
} {
  const events: string[] = []
  return {
    events,
    async come(...names) {
      for (const name of names)
        void lane.start(name[0] ?? '').then((hasTurn) => events.push(hasTurn ? name : `-${name}`))
      await settled()
    },
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await Promise.resolve()
}

describe('a lane', () => {
  it('gives turns to those for whom they come, one after the other', async () => {
    const lane = createLane({ maxRunning: 2, maxForOne: 2, maxWaiting: 9 })
    const { events, come } = follow(lane)
    await come('a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2')
    for (let i = 0; i < 4; i += 1) lane.end('a')
    await settled()
    expect(events).toEqual(['a1', 'a2', 'a3', 'b1', 'a4', 'b2'])
  })

  it('leaves places for others', async () => {
    const lane = createLane({ maxRunning: 3, maxForOne: 2, maxWaiting: 9 })
    const { events, come } = follow(lane)
    await come('a1', 'a2', 'a3', 'b1')
    expect(events).toEqual(['a1', 'a2', 'b1'])
    lane.end('b')
    await come()
    expect(events).toHaveLength(3)
    lane.end('a')
    await come()
    expect(events.at(-1)).toBe('a3')
  })

  it('turns away the newest of who waits most', async () => {
    const lane = createLane({ maxRunning: 1, maxForOne: 1, maxWaiting: 3 })
    const { events, come } = follow(lane)
    await come('a1', 'a2', 'a3', 'a4', 'b1', 'c1')
    expect(events.toSorted()).toEqual(['-a3', '-a4', 'a1'])
    for (const name of 'abc') {
      lane.end(name)
      await come()
    }
    expect(events.slice(3)).toEqual(['a2', 'b1', 'c1'])
  })
})
