import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createGapTurns, FIRST_RETRY_MS, LAST_RETRY_MS, MAX_GAPS_IN_TURN } from './gap-turns.ts'

type Entry = { readonly origin: ServerName; readonly number: number }

const A = 'a' as ServerName
const B = 'b' as ServerName
const entries = (origin: ServerName, count: number): readonly Entry[] =>
  Array.from({ length: count }, (_, number) => ({ origin, number }))

describe('turns of gaps', () => {
  it('alternate between servers, and let each entry of one have its turn', () => {
    const turns = createGapTurns<Entry>(() => true)
    for (const entry of [...entries(A, 3), ...entries(B, 1)]) turns.add(entry)
    const order: string[] = []
    for (let step = 0; step < 4; step += 1) {
      const entry = turns.next(0)
      if (entry === undefined) break
      order.push(entry.origin + String(entry.number))
      turns.failed(entry, 0)
    }
    expect(order).toEqual(['a0', 'b0', 'a1', 'a2'])
    expect(turns.next(0)).toBeUndefined()
    expect(turns.next(1_000)).toMatchObject({ origin: B, number: 0 })
  })

  it('leave a server alone for growing pauses after some failures', () => {
    const turns = createGapTurns<Entry>(() => true)
    for (const entry of entries(A, 100)) turns.add(entry)
    let now = 0
    let tried = 0
    const pauses: number[] = []
    for (let round = 0; round < 15; round += 1) {
      for (let entry = turns.next(now); entry !== undefined; entry = turns.next(now)) {
        tried += 1
        turns.failed(entry, now)
      }
      const due = turns.due() ?? 0
      pauses.push(due - now)
      now = due
    }
    expect(tried).toBe(15 * MAX_GAPS_IN_TURN)
    expect(pauses.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000])
    expect(pauses.at(-1)).toBe(LAST_RETRY_MS)
    // It sends something, or another appears: soon.
    turns.arrived(A, now)
    turns.appeared(B, now)
    expect(turns.due()).toBeLessThanOrEqual(now + 10_000)
    // It appears itself: at once, and again a second after its last turn, however often it comes and goes.
    for (let time = now; time < now + 10_000; time += 10) {
      turns.appeared(A, time)
      for (let entry = turns.next(time); entry !== undefined; entry = turns.next(time)) {
        tried += 1
        turns.failed(entry, time)
      }
    }
    expect(tried).toBeLessThanOrEqual((15 + 11) * MAX_GAPS_IN_TURN)
  })

  it('leave a server alone for growing pauses also while others of its gaps are filled', () => {
    const turns = createGapTurns<Entry>(() => true)
    for (const entry of entries(A, MAX_GAPS_IN_TURN - 1)) turns.add(entry)
    let now = 0
    let tried = 0
    for (let second = 0; second < 600; second += 1, now += 1_000) {
      const easy = { origin: A, number: 1_000 + second }
      turns.add(easy)
      turns.arrived(A, now)
      for (let entry = turns.next(now); entry !== undefined; entry = turns.next(now)) {
        tried += 1
        if (entry === easy || entry.number >= 1_000) {
          turns.filled(entry, now)
          turns.remove(entry)
        } else turns.failed(entry, now)
      }
    }
    // At most once in ten seconds, since it keeps sending.
    expect(tried).toBeLessThanOrEqual(600 + 70 * MAX_GAPS_IN_TURN)
    expect(turns.due()).toBeDefined()
  })

  it('come again to what failed, also where the others that waited for theirs went away', () => {
    const turns = createGapTurns<Entry>(() => true)
    const [one, two] = entries(A, 2) as [Entry, Entry]
    turns.add(one)
    turns.add(two)
    turns.failed(one, 0)
    turns.remove(two)
    expect(turns.due()).toBeDefined()
    expect(turns.next(0)).toBeUndefined()
    expect(turns.due()).toBe(FIRST_RETRY_MS)
    expect(turns.next(FIRST_RETRY_MS)).toBe(one)
  })

  it('pass over what waits for others that are here', () => {
    const [one, two] = entries(A, 2) as [Entry, Entry]
    const turns = createGapTurns<Entry>((entry) => entry === two)
    turns.add(one)
    expect(turns.due()).toBeUndefined()
    turns.add(two)
    expect(turns.next(0)).toBe(two)
    turns.remove(two)
    expect(turns.next(0)).toBeUndefined()
    turns.remove(one)
    expect(turns.due()).toBeUndefined()
  })
})
