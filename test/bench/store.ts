/** How fast the store commits in Node: `node test/bench/store.ts`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Durability, Store, Write } from '@plexus/engine/ports'
import { openSqliteStore } from '@plexus/store/sqlite'

type StoreFigures = {
  readonly store: string
  readonly durability: Durability
  readonly pdusPerCommit: number
  readonly pdusPerSecond: number
  readonly commitsPerSecond: number
  readonly commitMs: { readonly median: number; readonly p95: number }
}

/** 1.2 kB in three records, of which two stand in random order, as event ids are. */
function recordsOf(number: number): Write[] {
  const id = `$${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`
  const room = `!room${number % 7}`
  const position = String(number).padStart(12, '0')
  return [
    { map: 'event', key: id, value: 'e'.repeat(900) },
    { map: 'timeline', key: `${room}\u0001${position}`, value: `${id}${'t'.repeat(120)}` },
    { map: 'delta', key: `${room}\u0001${id}`, value: 'd'.repeat(150) },
  ]
}

async function measureStore(
  store: Store,
  durability: Durability,
  pdus: number,
  total: number,
): Promise<number[]> {
  const times: number[] = []
  for (let number = 0; number < total; number += pdus) {
    const writes = Array.from({ length: pdus }, (_, index) => recordsOf(number + index)).flat()
    const start = performance.now()
    await store.commit(writes, durability)
    times.push(performance.now() - start)
  }
  return times
}

async function benchSqlite(): Promise<StoreFigures[]> {
  const figures: StoreFigures[] = []
  for (const durability of ['relaxed', 'strict'] as const) {
    for (const pdus of [1, 50]) {
      const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
      const store = await openSqliteStore(join(folder, 'store.db'))
      await measureStore(store, durability, pdus, 500)
      const times = await measureStore(store, durability, pdus, pdus === 1 ? 4_000 : 40_000)
      await store.close()
      await rm(folder, { recursive: true })
      const seconds = times.reduce((sum, time) => sum + time, 0) / 1_000
      const sorted = times.toSorted((a, b) => a - b)
      const quantile = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0
      figures.push({
        store: 'sqlite',
        durability,
        pdusPerCommit: pdus,
        pdusPerSecond: (times.length * pdus) / seconds,
        commitsPerSecond: times.length / seconds,
        commitMs: { median: quantile(0.5), p95: quantile(0.95) },
      })
    }
  }
  return figures
}

if (import.meta.main) {
  for (const {
    store,
    durability,
    pdusPerCommit,
    pdusPerSecond,
    commitsPerSecond,
    commitMs,
  } of await benchSqlite()) {
    const commit = `commit median ${commitMs.median.toFixed(3)} ms, p95 ${commitMs.p95.toFixed(3)} ms`
    const rates = `${pdusPerSecond.toFixed(0)} PDUs/s, ${commitsPerSecond.toFixed(0)} commits/s`
    console.log(`${store} ${durability}, ${pdusPerCommit} PDUs a commit: ${rates}, ${commit}`)
  }
}
