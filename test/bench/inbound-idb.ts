/** Events from another server into IndexedDB: a real browser with its profile on disk, the engine in a worker. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright'
import { createServer } from 'vite'
import { launchOptions } from '../../scripts/chromium.ts'
import { figure, type Figure } from './figures.ts'
import type { BenchPage } from './page/bench-page.ts'
import type { BenchCall } from './page/bench-worker.ts'
import { withLimit, type Section } from './section.ts'

declare global {
  interface Window {
    plexusBench: BenchPage
  }
}

/** A call that takes longer has got stuck. */
const CALL_LIMIT_MS = 60_000
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

export const inboundIdb: Section = {
  name: 'inbound-idb',
  async run({ quick, note }) {
    const profile = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
    const server = await createServer({
      configFile: false,
      logLevel: 'error',
      root: fileURLToPath(new URL('page', import.meta.url)),
      server: { host: '127.0.0.1', port: 0, hmr: false, watch: null, fs: { allow: [REPOSITORY] } },
      optimizeDeps: { noDiscovery: true },
    })
    await server.listen()
    const context = await chromium.launchPersistentContext(profile, launchOptions())
    try {
      const [page = await context.newPage()] = context.pages()
      await page.goto(server.resolvedUrls?.local[0] ?? '')
      await page.waitForFunction(() => 'plexusBench' in window)
      return await measure(page, quick ? 2 : 8, note)
    } finally {
      await context.close()
      await server.close()
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    }
  },
}

async function measure(page: Page, runs: number, note: (words: string) => void): Promise<readonly Figure[]> {
  const call = (message: BenchCall): Promise<number> =>
    withLimit(
      page.evaluate((message) => window.plexusBench.call(message), message),
      CALL_LIMIT_MS,
      message.kind,
    )
  const eventBytes = await call({ kind: 'eventBytes' })
  note(`${eventBytes} bytes an event`)
  // The first run is the compiler's.
  await call({ kind: 'inbound', count: 1_000 })
  const [rates, commits, checks]: [number[], number[], number[]] = [[], [], []]
  for (let run = 0; run < runs; run += 1) {
    rates.push(await call({ kind: 'inbound', count: 1_000 }))
    commits.push(await call({ kind: 'commits', count: 300 }))
    checks.push(await call({ kind: 'checks', count: 500 }))
  }
  return [
    figure({
      name: 'inbound PDUs into IndexedDB',
      unit: '/s',
      values: rates,
      aims: [{ of: 'median', limit: 1_000 }],
      note: `${eventBytes} bytes each, 50 a transaction, 1,000 a run, from signature check to commit`,
    }),
    figure({ name: 'baseline: IndexedDB commits of 1.2 kB', unit: '/s', values: commits }),
    figure({ name: 'baseline: Ed25519 checks in a worker', unit: '/s', values: checks }),
  ]
}
