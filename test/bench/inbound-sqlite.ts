/** Events from another server into SQLite, in Node. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openSqliteStore } from '@plexus/store/sqlite'
import { rateOf, verifyRate } from './baselines.ts'
import { figure, type Figure } from './figures.ts'
import { createReceiver } from './receiver.ts'
import type { Section } from './section.ts'

export const inboundSqlite: Section = {
  name: 'inbound-sqlite',
  inNode: true,
  async run({ quick, note }) {
    const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
    try {
      const receiver = await createReceiver(await openSqliteStore(join(folder, 'store.sqlite')))
      note(`${receiver.eventBytes} bytes an event`)
      const rates: number[] = []
      const runs = quick ? 2 : 8
      // The first run is the compiler's.
      await receiver.run(1_000)
      while (rates.length < runs) rates.push(await receiver.run(1_000))
      await receiver.close()
      return [
        figure({
          name: 'inbound PDUs into SQLite',
          unit: '/s',
          values: rates,
          aims: [{ of: 'median', limit: 1_500 }],
          note: `${receiver.eventBytes} bytes each, 50 a transaction, 1,000 a run, from signature check to commit`,
        }),
        ...(await sqliteBaselines(join(folder, 'raw.sqlite'), runs)),
      ]
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

async function sqliteBaselines(path: string, runs: number): Promise<readonly Figure[]> {
  const database = new DatabaseSync(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
  database.exec('CREATE TABLE records (id INTEGER PRIMARY KEY, value TEXT NOT NULL)')
  const insert = database.prepare('INSERT INTO records (value) VALUES (?)')
  const commits: number[] = []
  const checks: number[] = []
  for (let run = 0; run < runs; run += 1) {
    commits.push(await rateOf(2_000, () => void insert.run('r'.repeat(1_200))))
    checks.push(await verifyRate(1_000))
  }
  database.close()
  return [
    figure({ name: 'baseline: SQLite commits of 1.2 kB', unit: '/s', values: commits }),
    figure({ name: 'baseline: Ed25519 checks in Node', unit: '/s', values: checks }),
  ]
}
