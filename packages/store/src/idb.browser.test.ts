import { deleteDB, openDB } from 'idb'
import { describe, expect, it } from 'vitest'
import type { Store, Write } from '@plexus/engine/ports'
import { storeContract } from './contract/index.ts'
import { openIdbStore } from './idb.ts'
import { SchemaError } from './migrations.ts'

const fresh = (): string => `plexus-test-${crypto.randomUUID()}`

storeContract('IndexedDB', async () => {
  const name = fresh()
  return { open: (options) => openIdbStore(name, options), remove: () => deleteDB(name) }
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
