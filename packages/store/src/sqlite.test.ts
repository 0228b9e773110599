import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Write } from '@plexus/engine/ports'
import { storeContract } from './contract/index.ts'
import { openSqliteStore } from './sqlite.ts'

const makeFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'plexus-sqlite-'))

storeContract('node:sqlite', async () => {
  const folder = await makeFolder()
  return {
    open: (options) => openSqliteStore(join(folder, 'store.db'), options),
    remove: () => rm(folder, { recursive: true }),
  }
})

describe('SQLite store', () => {
  let folder: string
  let path: string
  beforeEach(async () => {
    folder = await makeFolder()
    path = join(folder, 'store.db')
  })
  afterEach(() => rm(folder, { recursive: true }))

  const put = (key: string, value: string): Write => ({ map: 'map', key, value })

  it('answers full when the file may not grow, applies nothing, and goes on after a deletion', async () => {
    const store = await openSqliteStore(path, { maxBytes: 1_000_000 })
    const large = 'x'.repeat(300_000)
    let kept = 0
    const fill = async (): Promise<never> => {
      for (;;) {
        await store.commit([put(`large ${kept}`, large), put('count', String(kept + 1))], 'relaxed')
        kept += 1
      }
    }
    await expect(fill()).rejects.toMatchObject({ name: 'StoreError', code: 'full' })
    expect(kept).toBeGreaterThan(0)
    expect(await store.get('map', 'count')).toBe(String(kept))
    expect(await store.get('map', `large ${kept}`)).toBeUndefined()
    await store.commit([{ map: 'map', key: 'large 0', value: undefined }], 'relaxed')
    await store.commit([put('large again', large)], 'strict')
    expect((await store.get('map', 'large again')) === large).toBe(true)
    await store.close()
  })

  it('answers failed for a file that is no database', async () => {
    await writeFile(path, 'this is a letter to a friend '.repeat(100))
    await expect(openSqliteStore(path)).rejects.toMatchObject({ name: 'StoreError', code: 'failed' })
  })

  it('is not opened where a page is damaged, and what was asked for is a look at it', async () => {
    const store = await openSqliteStore(path)
    await store.commit(
      Array.from({ length: 200 }, (_, n) => put(`key ${n}`, 'x'.repeat(1_000))),
      'strict',
    )
    await store.close()
    await (await openSqliteStore(path, { check: true })).close()
    const file = await open(path, 'r+')
    await file.write(Buffer.alloc(4_096, 0xff), 0, 4_096, 20 * 4_096)
    await file.close()
    await expect(openSqliteStore(path, { check: true })).rejects.toMatchObject({
      name: 'StoreError',
      code: 'failed',
      message: expect.stringMatching(/damaged|malformed/) as string,
    })
  })

  it('answers failed for a folder that does not exist', async () => {
    await expect(openSqliteStore(join(folder, 'absent', 'store.db'))).rejects.toMatchObject({
      code: 'failed',
    })
  })

  it('answers failed, and applies nothing, while another connection keeps the write lock', async () => {
    const store = await openSqliteStore(path, { busyTimeoutMs: 20 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(store.commit([put('a', '1')], 'relaxed')).rejects.toMatchObject({ code: 'failed' })
    other.exec('ROLLBACK')
    other.close()
    expect(await store.get('map', 'a')).toBeUndefined()
    await store.commit([put('a', '1')], 'relaxed')
    expect(await store.get('map', 'a')).toBe('1')
    await store.close()
  })

  it('stops at a signal that has fired', async () => {
    const signal = AbortSignal.abort(new Error('not wanted'))
    await expect(openSqliteStore(path, { signal })).rejects.toThrow('not wanted')
  })
})
