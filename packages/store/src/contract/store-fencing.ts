import { describe, expect, it } from 'vitest'
import type { Store, Write } from '@plexus/engine/ports'
import type { Place } from './store-contract.ts'

const put = (key: string, value: string): Write => ({ map: 'map', key, value })
const fenced = { name: 'StoreError', code: 'fenced' }

export function fencingCases(place: Place): void {
  describe('fencing', () => {
    it('lets the newest owner commit and refuses the one before it for good', async () => {
      const old = await place.open()
      await old.commit([put('a', 'of old')], 'relaxed')
      const current = await place.open()
      expect(await current.get('map', 'a')).toBe('of old')
      for (const durability of ['relaxed', 'strict'] as const) {
        await expect(old.commit([put('a', 'late'), put('b', 'late')], durability)).rejects.toMatchObject(
          fenced,
        )
      }
      await expect(old.commit([], 'relaxed')).rejects.toMatchObject(fenced)
      await current.commit([put('c', 'of current')], 'relaxed')
      expect(await current.range('map', '', '\u00ff')).toEqual([
        ['a', 'of old'],
        ['c', 'of current'],
      ])
    })

    it('refuses every owner but the last of many', async () => {
      const owners: Store[] = []
      for (let index = 0; index < 4; index += 1) owners.push(await place.open())
      const last = owners.pop()
      for (const owner of owners)
        await expect(owner.commit([put('a', 'late')], 'relaxed')).rejects.toMatchObject(fenced)
      await last?.commit([put('a', 'last')], 'relaxed')
      expect(await last?.get('map', 'a')).toBe('last')
    })

    it('lets exactly one of two owners go on that open at the same time', async () => {
      const owners = await Promise.all([place.open(), place.open()])
      const outcomes = await Promise.allSettled(
        owners.map((owner, index) => owner.commit([put(`by ${index}`, 'yes')], 'relaxed')),
      )
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      const kept = await (await place.open()).range('map', '', '\u00ff')
      expect(kept).toEqual([[`by ${outcomes.findIndex(({ status }) => status === 'fulfilled')}`, 'yes']])
    })

    it('keeps what was acknowledged and nothing else when a takeover comes amid commits', async () => {
      const old = await place.open()
      const numbers = Array.from({ length: 60 }, (_, index) => index)
      const before = numbers.map((number) =>
        old.commit([put(`${number}`, 'a'), put(`${number}+`, 'b')], 'relaxed'),
      )
      const opening = place.open()
      const after = numbers.map((number) =>
        old.commit([put(`${number + 60}`, 'a'), put(`${number + 60}+`, 'b')], 'relaxed'),
      )
      const outcomes = await Promise.allSettled([...before, ...after])
      const current = await opening
      await expect(old.commit([put('late', 'a')], 'relaxed')).rejects.toMatchObject(fenced)
      const expected = outcomes.flatMap(({ status }, index) =>
        status === 'fulfilled' ? [[`${index}`, 'a'] as const, [`${index}+`, 'b'] as const] : [],
      )
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject(fenced)
      const kept = await current.range('map', '', '\u00ff')
      expect(new Map(kept)).toEqual(new Map(expected))
    })
  })
}
