import { describe, expect, it } from 'vitest'
import type { Write } from '@plexus/engine/ports'
import { createMemoryStore } from '../memory.ts'
import { batchOf, inspect, runLoad } from './index.ts'

describe('crash load', () => {
  it('leaves a store in which nothing is wrong', async () => {
    const store = await createMemoryStore()
    expect(await inspect(store)).toEqual({ last: -1, problems: [] })
    let acknowledged = -1
    const load = runLoad(store, {
      from: 0,
      random: () => 0.7,
      acknowledged: (last) => {
        acknowledged = Math.max(acknowledged, last)
        if (last > 2_500) throw new Error('enough')
      },
    })
    await expect(load).rejects.toThrow('enough')
    const findings = await inspect(store)
    expect(findings.problems).toEqual([])
    expect(findings.last).toBeGreaterThanOrEqual(acknowledged)
  })

  it.each<[string, (writes: readonly Write[]) => readonly Write[]]>([
    ['a lost event', (writes) => writes.filter(({ map, key }) => map !== 'event' || !key.endsWith('7'))],
    [
      'a lost timeline entry',
      (writes) => writes.filter(({ map, key }) => map !== 'timeline' || !key.endsWith('7')),
    ],
    ['a lost end of a commit', (writes) => writes.slice(0, -4)],
    ['a lost position', (writes) => writes.slice(0, -1)],
    ['a doubled event', (writes) => [...writes, { map: 'event', key: '$000000003x', value: 'again' }]],
    ['altered content', (writes) => [...writes, { map: 'event', key: '$000000003', value: 'altered' }]],
    ['state of an older event', (writes) => [...writes, { map: 'state', key: '1', value: '1' }]],
  ])('shows %s', async (_what, damage) => {
    const store = await createMemoryStore()
    await store.commit(damage(batchOf(0, 14)), 'relaxed')
    expect((await inspect(store)).problems).not.toEqual([])
  })
})
