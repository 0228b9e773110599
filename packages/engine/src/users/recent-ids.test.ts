import { beforeEach, describe, expect, it } from 'vitest'
import { createCommitter } from '../kernel/committer.ts'
import type { Committer } from '../kernel/committer.ts'
import { mapStore } from '../kernel/map-store.fixture.ts'
import type { Log } from '../ports.ts'
import { GENERATIONS, GENERATION_MS, createRecentIds } from './recent-ids.ts'
import type { RecentIds } from './recent-ids.ts'

/** Ids of one generation, in these tests. */
const PER_GENERATION = 50

const log: Log = { log: () => undefined }

describe('recent ids', () => {
  let now = 0
  let rows: Map<string, string>
  let failNext: () => void
  let committer: Committer
  let ids: RecentIds<string>

  const open = async (): Promise<void> => {
    const made = mapStore(rows)
    failNext = made.failNext
    committer = await createCommitter(made.store)
    const clock = { now: () => now, after: () => () => undefined }
    ids = createRecentIds<string>({ store: made.store, committer, clock, log }, 'test', PER_GENERATION)
  }
  beforeEach(async () => {
    now = 0
    rows = new Map()
    await open()
  })

  /** True when this was the first time. */
  const use = async (id: string, value = 'done', scope = 'scope'): Promise<boolean> => {
    if ((await ids.get(scope, id)) !== undefined) return false
    let first = false
    await committer.submit({
      writes() {
        const writes = ids.claim(scope, id, value)
        first = writes !== undefined
        return writes ?? []
      },
    })
    return first
  }

  it('are known with their value, by scope, also after a restart', async () => {
    expect(await use('a', 'one')).toBe(true)
    expect(await ids.get('scope', 'a')).toBe('one')
    expect(await ids.get('other', 'a')).toBeUndefined()
    await open()
    expect(await ids.getMany('scope', ['b', 'a'])).toEqual([undefined, 'one'])
    expect(await use('a')).toBe(false)
  })

  it('are used once by any number at a time', async () => {
    const results = await Promise.all(Array.from({ length: 10 }, () => use('a')))
    expect(results.filter(Boolean)).toHaveLength(1)
  })

  it('are free again when their commit failed', async () => {
    failNext()
    await expect(use('a')).rejects.toThrow('no')
    expect(await ids.get('scope', 'a')).toBeUndefined()
    expect(await use('a')).toBe(true)
    expect(await use('a')).toBe(false)
  })

  it('are forgotten after some days, and leave no rows', async () => {
    await use('a')
    for (let day = 1; day < GENERATIONS; day += 1) {
      now += GENERATION_MS
      expect(await ids.get('scope', 'a')).toBe('done')
      await use(`day ${day}`)
    }
    now += GENERATION_MS
    await use('last')
    await committer.idle()
    await open()
    expect(await ids.get('scope', 'a')).toBeUndefined()
    expect([...rows.keys()].filter((key) => key.includes('_ids'))).toHaveLength(GENERATIONS)
  })

  it('fill a bounded number of rows, however many come', async () => {
    for (let first = 0; first <= 3 * PER_GENERATION; first += 1) await use(`${first}`)
    const generations = new Set(
      [...rows.keys()].filter((key) => key.includes('_ids')).map((key) => key.split('\u0001')[1]),
    )
    expect(generations.size).toBe(4)
    for (let first = 0; first <= GENERATIONS * PER_GENERATION; first += 1) await use(`more ${first}`)
    await committer.idle()
    const left = [...rows.keys()].filter((key) => key.includes('_ids'))
    expect(left.length).toBeLessThanOrEqual(GENERATIONS * PER_GENERATION)
  })
})
