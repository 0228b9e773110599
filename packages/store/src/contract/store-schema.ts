import { describe, expect, it } from 'vitest'
import type { Migration } from '../migrations.ts'
import { SchemaError } from '../migrations.ts'
import type { Place } from './store-contract.ts'

/** Writes down that it ran, after those before it. */
const noting = (name: string): Migration => ({
  name,
  up: async (store) => [
    { map: 'ran', key: 'all', value: `${(await store.get('ran', 'all')) ?? ''}${name};` },
  ],
})

/** Moves every entry of one map to another. */
const renaming: Migration = {
  name: 'rename',
  up: async (store) =>
    (await store.range('old', '', '\u00ff')).flatMap(([key, value]) => [
      { map: 'new', key, value },
      { map: 'old', key, value: undefined },
    ]),
}

export function schemaCases(place: Place): void {
  describe('migrations', () => {
    it('run none on a new store', async () => {
      const migrations = [noting('first')]
      const store = await place.open({ migrations })
      expect(await store.get('ran', 'all')).toBeUndefined()
      await store.close()
      expect(await (await place.open({ migrations })).get('ran', 'all')).toBeUndefined()
    })

    it('run once each, in order, on an older store', async () => {
      const first = await place.open()
      await first.commit([{ map: 'old', key: 'a', value: '1' }], 'relaxed')
      await first.close()
      const migrations = [renaming, noting('second'), noting('third')]
      const second = await place.open({ migrations: migrations.slice(0, 2) })
      expect(await second.get('new', 'a')).toBe('1')
      expect(await second.get('old', 'a')).toBeUndefined()
      await second.close()
      const third = await place.open({ migrations })
      expect(await third.get('ran', 'all')).toBe('second;third;')
    })

    it('refuses a store of a newer program and leaves its owner alone', async () => {
      const newer = await place.open({ migrations: [noting('first'), noting('second')] })
      const opening = place.open({ migrations: [noting('first')] })
      await expect(opening).rejects.toThrow(SchemaError)
      await expect(opening).rejects.toMatchObject({ found: 3, known: 2 })
      await newer.commit([{ map: 'map', key: 'a', value: '1' }], 'relaxed')
      expect(await newer.get('map', 'a')).toBe('1')
    })

    it('leaves the store at the last migration that worked', async () => {
      await (await place.open()).close()
      const broken: Migration = {
        name: 'broken',
        up: () => Promise.reject(new Error('broken migration')),
      }
      await expect(place.open({ migrations: [noting('first'), broken] })).rejects.toThrow('broken migration')
      const repaired = await place.open({ migrations: [noting('first'), noting('repaired')] })
      expect(await repaired.get('ran', 'all')).toBe('first;repaired;')
    })
  })
}
