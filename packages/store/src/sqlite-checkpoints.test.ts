import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Store, Write } from '@plexus/engine/ports'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { MAX_LOG_PAGES, WRITES_PER_CHECKPOINT } from './sqlite-checkpoints.ts'
import { openSqliteStore } from './sqlite.ts'

const PAGE_BYTES = 4_096

let folder: string
let path: string
let store: Store
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-checkpoints-'))
  path = join(folder, 'store.sqlite')
  store = await openSqliteStore(path)
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

const value = 'x'.repeat(2_000)
const batch = (from: number): Write[] =>
  Array.from({ length: 100 }, (_, n) => ({ map: 'm', key: `k${(from + n) * 7_919}`, value }))
const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

it('move what the log holds into the database while commits go on, and keep the log bounded', async () => {
  let written = 0
  // Until a checkpoint of the thread is seen: the committing side makes none before its log is full.
  while (sizeOf(path) < 10 * PAGE_BYTES) {
    await store.commit(batch(written), 'relaxed')
    written += 100
    expect(sizeOf(`${path}-wal`)).toBeLessThan(MAX_LOG_PAGES * PAGE_BYTES)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(written).toBeGreaterThanOrEqual(WRITES_PER_CHECKPOINT)
  for (; written < 20_000; written += 100) {
    await store.commit(batch(written), 'relaxed')
    expect(sizeOf(`${path}-wal`)).toBeLessThan(1.5 * MAX_LOG_PAGES * PAGE_BYTES)
  }
  await store.close()
  expect(sizeOf(`${path}-wal`)).toBe(0)
  store = await openSqliteStore(path)
  expect(await store.range('m', 'k', 'l')).toHaveLength(written)
})

it('are at their end when the store is closed, in a process that waits for nothing else', async () => {
  const script = `
    import { openSqliteStore } from ${JSON.stringify(new URL('sqlite.ts', import.meta.url).href)}
    const store = await openSqliteStore(${JSON.stringify(join(folder, 'other.sqlite'))})
    const writes = Array.from({ length: ${WRITES_PER_CHECKPOINT} }, (_, n) => ({ map: 'm', key: 'k' + n, value: 'x' }))
    await store.commit(writes, 'relaxed')
    await store.close()
    console.log('closed')
  `
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  expect(stdout).toBe('closed\n')
})
