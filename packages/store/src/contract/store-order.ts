import { describe, expect, it } from 'vitest'
import type { Store, Write } from '@plexus/engine/ports'
import { MAX_KEY_LENGTH } from '../layout.ts'
import type { Place } from './store-contract.ts'

const put = (map: string, key: string, value = `value of ${key}`): Write => ({ map, key, value })
const keysOf = (entries: readonly (readonly [string, string])[]): string[] => entries.map(([key]) => key)

async function filled(place: Place, keys: readonly string[], map = 'map'): Promise<Store> {
  const store = await place.open()
  await store.commit(
    keys.map((key) => put(map, key)),
    'relaxed',
  )
  return store
}

export function orderCases(place: Place): void {
  readCases(place)
  rangeCases(place)
  keyCases(place)
  valueCases(place)
}

function readCases(place: Place): void {
  describe('get and getMany', () => {
    it('answers what a commit that returned has put, and undefined for the rest', async () => {
      const store = await filled(place, ['a', 'b'])
      expect(await store.get('map', 'a')).toBe('value of a')
      expect(await store.get('map', 'c')).toBeUndefined()
      expect(await store.get('never-written', 'a')).toBeUndefined()
      expect(await store.getMany('map', ['b', 'c', 'a', 'b'])).toEqual([
        'value of b',
        undefined,
        'value of a',
        'value of b',
      ])
      expect(await store.getMany('map', [])).toEqual([])
    })

    it('answers gets that are issued together each with its own value', async () => {
      const keys = Array.from({ length: 200 }, (_, index) => `key ${index}`)
      const store = await filled(place, keys)
      const values = await Promise.all(keys.map((key) => store.get('map', key)))
      expect(values).toEqual(keys.map((key) => `value of ${key}`))
    })
  })
}

function rangeCases(place: Place): void {
  describe('range', () => {
    it('includes the lower bound, excludes the upper, and sorts by code unit', async () => {
      const store = await filled(place, ['b', 'a', 'B', 'aa', 'ab', 'c'])
      expect(keysOf(await store.range('map', 'a', 'c'))).toEqual(['a', 'aa', 'ab', 'b'])
      expect(keysOf(await store.range('map', '', 'b'))).toEqual(['B', 'a', 'aa', 'ab'])
      expect(await store.range('map', 'aa', 'ab')).toEqual([['aa', 'value of aa']])
    })

    it('is empty for empty and reversed bounds', async () => {
      const store = await filled(place, ['a', 'b'])
      expect(await store.range('map', 'a', 'a')).toEqual([])
      expect(await store.range('map', 'b', 'a')).toEqual([])
      expect(await store.range('map', 'aa', 'b')).toEqual([])
    })

    it('honours limit and reverse', async () => {
      const store = await filled(place, ['a', 'b', 'c', 'd'])
      expect(keysOf(await store.range('map', 'a', 'd', { limit: 2 }))).toEqual(['a', 'b'])
      expect(keysOf(await store.range('map', 'a', 'd', { reverse: true }))).toEqual(['c', 'b', 'a'])
      expect(keysOf(await store.range('map', 'a', 'd', { limit: 2, reverse: true }))).toEqual(['c', 'b'])
      expect(keysOf(await store.range('map', 'a', 'd', { limit: 9 }))).toEqual(['a', 'b', 'c'])
      expect(await store.range('map', 'a', 'd', { limit: 0 })).toEqual([])
      for (const limit of [-1, 0.5, Number.NaN]) {
        await expect(store.range('map', 'a', 'd', { limit })).rejects.toMatchObject({ code: 'failed' })
      }
    })

    it('never leaves its map', async () => {
      const store = await place.open()
      const maps = ['a', 'aa', 'b', 'a!', '~', 'ab']
      await store.commit(
        maps.flatMap((map) => ['', '\u0001', 'a', 'b', '\u00ff'].map((key) => put(map, key, map))),
        'relaxed',
      )
      for (const map of maps) {
        const entries = await store.range(map, '', '\u00ff\u00ff')
        expect(entries).toEqual(['', '\u0001', 'a', 'b', '\u00ff'].map((key) => [key, map]))
        expect(await store.range(map, '', '\u00ff\u00ff', { reverse: true })).toEqual(entries.toReversed())
      }
    })
  })
}

function keyCases(place: Place): void {
  describe('keys', () => {
    it('keeps and orders the whole range of code units', async () => {
      const units = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1))
      const keys = ['', ...units.flatMap((unit) => [unit, `${unit}\u0001`, `${unit}\u0080`, `${unit}\u00ff`])]
      const store = await filled(place, keys.toReversed())
      expect(keysOf(await store.range('map', '', '\u00ff\u00ff\u00ff'))).toEqual(keys)
      expect(await store.getMany('map', keys)).toEqual(keys.map((key) => `value of ${key}`))
      for (const unit of units) {
        const inside = keysOf(await store.range('map', unit, `${unit}\u00ff`))
        expect(inside).toEqual(keys.filter((key) => key >= unit && key < `${unit}\u00ff`))
      }
    })

    it('refuses keys, maps and values that not every adapter can keep, and applies nothing of that commit', async () => {
      const store = await place.open()
      const refused: Write[] = [
        put('map', '\u0000'),
        put('map', 'a\u0100'),
        put('map', 'x'.repeat(MAX_KEY_LENGTH + 1)),
        put('', 'a'),
        put('a\u0001b', 'a'),
        put('map', 'a', 'lone \ud800 surrogate'),
      ]
      for (const write of refused) {
        await expect(store.commit([put('map', 'good'), write], 'relaxed')).rejects.toMatchObject({
          code: 'failed',
        })
      }
      expect(await store.range('map', '', '\u00ff')).toEqual([])
      const longest = 'x'.repeat(MAX_KEY_LENGTH)
      await store.commit([put('map', longest, 'kept')], 'relaxed')
      expect(await store.get('map', longest)).toBe('kept')
      expect(await store.get('map', 'a\u0100')).toBeUndefined()
    })
  })
}

function valueCases(place: Place): void {
  describe('values', () => {
    it('keeps them as they are', async () => {
      const store = await place.open()
      const values = ['', '\u0000', 'a\u0000b', '\ufeff', 'é€😀', '\u2028"\\\n', '{"a":null}', '\uffff']
      await store.commit(
        values.map((value, index) => put('map', String(index), value)),
        'strict',
      )
      expect(
        await store.getMany(
          'map',
          values.map((_, index) => String(index)),
        ),
      ).toEqual(values)
    })

    it('keeps values of 1 MB', async () => {
      const store = await place.open()
      const ascii = 'x'.repeat(1_000_000)
      const wide = '😀'.repeat(250_000)
      await store.commit([put('map', 'ascii', ascii), put('map', 'wide', wide)], 'strict')
      expect((await store.get('map', 'ascii')) === ascii).toBe(true)
      expect((await store.get('map', 'wide')) === wide).toBe(true)
    })

    it('keeps many keys in one commit', async () => {
      const store = await place.open()
      const numbers = Array.from({ length: 5_000 }, (_, index) =>
        String((index * 7_919) % 5_000).padStart(4, '0'),
      )
      await store.commit(
        numbers.map((key) => put('map', key, key)),
        'relaxed',
      )
      const sorted = numbers.toSorted().map((key) => [key, key])
      expect(await store.range('map', '', ':')).toEqual(sorted)
      expect(await store.range('map', '4990', ':', { reverse: true })).toEqual(
        sorted.slice(4_990).toReversed(),
      )
    })
  })
}
