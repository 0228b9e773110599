import { describe, expect, it } from 'vitest'
import type { Write } from '@plexus/engine/ports'
import type { Place } from './store-contract.ts'

const put = (map: string, key: string, value: string): Write => ({ map, key, value })
const drop = (map: string, key: string): Write => ({ map, key, value: undefined })

export function atomicityCases(place: Place): void {
  commitCases(place)
  closeCases(place)
}

function commitCases(place: Place): void {
  describe('commit', () => {
    it('lets the later write of one key win, deletions too', async () => {
      const store = await place.open()
      await store.commit(
        [
          put('map', 'twice', '1'),
          put('map', 'twice', '2'),
          put('map', 'gone', '1'),
          drop('map', 'gone'),
          drop('map', 'back'),
          put('map', 'back', '1'),
        ],
        'relaxed',
      )
      expect(await store.getMany('map', ['twice', 'gone', 'back'])).toEqual(['2', undefined, '1'])
      await store.commit([drop('map', 'twice'), drop('map', 'absent'), put('map', 'back', '2')], 'relaxed')
      expect(await store.range('map', '', '\u00ff')).toEqual([['back', '2']])
    })

    it('accepts a commit without writes', async () => {
      const store = await place.open()
      await store.commit([], 'relaxed')
      await store.commit([], 'strict')
      expect(await store.get('map', 'a')).toBeUndefined()
    })

    it('applies concurrent commits in the order of their calls', async () => {
      const store = await place.open()
      const numbers = Array.from({ length: 100 }, (_, index) => index)
      const done: number[] = []
      await Promise.all(
        numbers.map(async (number) => {
          const durability = number % 10 === 0 ? 'strict' : 'relaxed'
          await store.commit(
            [put('own', String(number), 'yes'), put('shared', 'last', String(number))],
            durability,
          )
          done.push(number)
        }),
      )
      expect(done).toHaveLength(100)
      expect(await store.get('shared', 'last')).toBe('99')
      expect(await store.getMany('own', numbers.map(String))).toEqual(numbers.map(() => 'yes'))
    })

    it('is seen by readers as a whole or not at all', async () => {
      const store = await place.open()
      const commits = Array.from({ length: 60 }, (_, index) =>
        store.commit([put('left', 'a', String(index)), put('left', 'z', String(index))], 'relaxed'),
      )
      const reads = Array.from({ length: 60 }, () => store.getMany('left', ['a', 'z']))
      const ranges = Array.from({ length: 20 }, () => store.range('left', '', '\u00ff'))
      await Promise.all(commits)
      for (const [a, z] of await Promise.all(reads)) expect(a).toBe(z)
      for (const entries of await Promise.all(ranges)) {
        const values = entries.map(([, value]) => value)
        expect(new Set(values).size).toBeLessThanOrEqual(1)
        expect([0, 2]).toContain(values.length)
      }
    })

    it('is seen by every read that begins after it returned', async () => {
      const store = await place.open()
      for (let round = 0; round < 30; round += 1) {
        await store.commit([put('map', 'a', String(round))], round % 2 === 0 ? 'relaxed' : 'strict')
        expect(await store.get('map', 'a')).toBe(String(round))
      }
    })
  })
}

function closeCases(place: Place): void {
  describe('close', () => {
    it('keeps everything for the next opening', async () => {
      const store = await place.open()
      await store.commit([put('map', 'relaxed', '1')], 'relaxed')
      await store.commit([put('other', 'strict', '2')], 'strict')
      await store.close()
      const again = await place.open()
      expect(await again.get('map', 'relaxed')).toBe('1')
      expect(await again.get('other', 'strict')).toBe('2')
    })

    it('waits for the commits and reads that are under way', async () => {
      const store = await place.open()
      const commits = Array.from({ length: 20 }, (_, index) =>
        store.commit([put('map', 'a', String(index))], 'relaxed'),
      )
      const read = store.get('map', 'absent')
      await store.close()
      await Promise.all(commits)
      expect(await read).toBeUndefined()
      expect(await (await place.open()).get('map', 'a')).toBe('19')
    })

    it('refuses everything afterwards but another close', async () => {
      const store = await place.open()
      await store.commit([put('map', 'a', '1')], 'relaxed')
      await store.close()
      await store.close()
      const closed = { name: 'StoreError', code: 'closed' }
      await expect(store.get('map', 'a')).rejects.toMatchObject(closed)
      await expect(store.getMany('map', ['a'])).rejects.toMatchObject(closed)
      await expect(store.range('map', 'a', 'b')).rejects.toMatchObject(closed)
      await expect(store.commit([put('map', 'a', '2')], 'relaxed')).rejects.toMatchObject(closed)
      expect(await (await place.open()).get('map', 'a')).toBe('1')
    })
  })
}
