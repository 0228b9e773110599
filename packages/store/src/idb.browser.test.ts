import { deleteDB, openDB } from 'idb'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Store, Write } from '@plexus/engine/ports'
import { storeContract } from './contract/index.ts'
import type { StoreFixture } from './contract/index.ts'
import { openIdbStore } from './idb.ts'
import { SchemaError } from './migrations.ts'

const fresh = (): string => `plexus-test-${crypto.randomUUID()}`

const prepare = async (): Promise<StoreFixture> => {
  const name = fresh()
  return { open: (options) => openIdbStore(name, options), remove: () => deleteDB(name) }
}

storeContract('IndexedDB', prepare)

describe('in a browser that has no getAllRecords', () => {
  const prototype: object = IDBObjectStore.prototype
  const native = Object.getOwnPropertyDescriptor(prototype, 'getAllRecords')
  beforeAll(() => {
    Reflect.deleteProperty(prototype, 'getAllRecords')
    expect('getAllRecords' in prototype).toBe(false)
  })
  afterAll(() => {
    if (native !== undefined) Object.defineProperty(prototype, 'getAllRecords', native)
  })

  storeContract('IndexedDB', prepare)
})

const put = (key: string, value: string): Write => ({ map: 'map', key, value })

async function withStore(work: (store: Store, name: string) => Promise<void>): Promise<void> {
  const name = fresh()
  const store = await openIdbStore(name)
  try {
    await work(store, name)
  } finally {
    await store.close()
    await deleteDB(name)
  }
}

describe('IndexedDB store', () => {
  it('makes way when its data is deleted, and is closed', async () => {
    await withStore(async (store, name) => {
      await store.commit([put('a', '1')], 'relaxed')
      await deleteDB(name)
      await expect(store.get('map', 'a')).rejects.toMatchObject({ code: 'closed' })
      await expect(store.commit([put('a', '2')], 'relaxed')).rejects.toMatchObject({ code: 'closed' })
    })
  })

  it('makes way for a newer program, and is fenced', async () => {
    await withStore(async (store, name) => {
      await store.commit([put('a', '1')], 'relaxed')
      const newer = await openDB(name, 2)
      await expect(store.commit([put('a', '2')], 'relaxed')).rejects.toMatchObject({ code: 'fenced' })
      newer.close()
      await expect(openIdbStore(name)).rejects.toThrow(SchemaError)
    })
  })

  it('waits for an older program that keeps the database, until its signal fires', async () => {
    const name = fresh()
    const keeping = await openDB(name, 1)
    const blocked = Promise.withResolvers<void>()
    const deleting = deleteDB(name, { blocked: () => blocked.resolve() })
    await blocked.promise
    const controller = new AbortController()
    const opening = openIdbStore(name, { signal: controller.signal })
    controller.abort(new Error('gave up'))
    await expect(opening).rejects.toThrow('gave up')
    keeping.close()
    await deleting
  })

  it('applies nothing of a commit with a write that the browser refuses at once', async () => {
    await withStore(async (store) => {
      await store.commit([put('a', '1')], 'relaxed')
      const spy = vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementationOnce(() => {
        throw new DOMException('too large', 'DataError')
      })
      const writes = [{ map: 'map', key: 'a', value: undefined }, put('b', '2')]
      await expect(store.commit(writes, 'relaxed')).rejects.toMatchObject({ code: 'failed' })
      spy.mockRestore()
      expect(await store.range('map', '', '\u00ff')).toEqual([['a', '1']])
      await store.commit(writes, 'relaxed')
      expect(await store.range('map', '', '\u00ff')).toEqual([['b', '2']])
    })
  })

  it('leaves no scratch database behind an opening, nor those that an earlier one left', async () => {
    await withStore(async (store, name) => {
      await store.close()
      const left = await openDB(`${name}.scratch.left`, 1)
      left.close()
      await (await openIdbStore(name)).close()
      const names = (await indexedDB.databases()).map((each) => each.name ?? '')
      expect(names.filter((each) => each.startsWith(name))).toEqual([name])
    })
  })

  it('opens although a page keeps a scratch database open', async () => {
    await withStore(async (store, name) => {
      await store.close()
      const kept = await openDB(`${name}.scratch.kept`, 1)
      const again = await openIdbStore(name)
      await again.commit([put('a', '1')], 'relaxed')
      await again.close()
      kept.close()
      await deleteDB(`${name}.scratch.kept`)
    })
  })

  it('shares transactions between gets of one turn, and reads what was committed before', async () => {
    await withStore(async (store) => {
      const keys = Array.from({ length: 100 }, (_, index) => String(index))
      await store.commit(
        keys.map((key) => put(key, key)),
        'relaxed',
      )
      const singles = keys.map((key) => store.get('map', key))
      const many = store.getMany('map', ['7', 'absent', '3'])
      expect(await Promise.all(singles)).toEqual(keys)
      expect(await many).toEqual(['7', undefined, '3'])
    })
  })
})
