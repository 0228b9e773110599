import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright'
import type { BrowserContext, Page } from 'playwright'
import { createServer } from 'vite'
import type { ViteDevServer } from 'vite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { launchOptions } from '../../scripts/chromium.ts'
import type { TestPage } from './store/store-page.ts'
import type { Report } from './store/store-worker.ts'

declare global {
  interface Window {
    plexusTest: TestPage
  }
}

const ROUNDS = Number(process.env['CRASH_RUNS'] ?? 12)
/** A limit against hanging. */
const LIMIT_MS = 60_000 + ROUNDS * 12_000
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))

describe('IndexedDB store on a disk profile', () => {
  let server: ViteDevServer
  let address: string
  let profile: string

  beforeAll(async () => {
    server = await createServer({
      configFile: false,
      logLevel: 'error',
      root: fileURLToPath(new URL('store', import.meta.url)),
      server: { host: '127.0.0.1', port: 0, hmr: false, watch: null, fs: { allow: [REPOSITORY] } },
      optimizeDeps: { noDiscovery: true },
    })
    await server.listen()
    address = server.resolvedUrls?.local[0] ?? ''
  })
  afterAll(() => server.close())

  beforeEach(async () => {
    profile = await mkdtemp(join(tmpdir(), 'plexus-profile-'))
  })
  afterEach(() => rm(profile, { recursive: true, force: true, maxRetries: 5 }))

  const launch = (): Promise<BrowserContext> => chromium.launchPersistentContext(profile, launchOptions())
  const openPage = async (context: BrowserContext): Promise<Page> => {
    const page = await context.newPage()
    await page.goto(address)
    await page.waitForFunction(() => 'plexusTest' in window)
    return page
  }

  it(
    `keeps all that was acknowledged, whole, when the browser is killed under load, ${ROUNDS} times`,
    { timeout: LIMIT_MS },
    async () => {
      let before: readonly number[] = [-1]
      for (let round = 0; round <= ROUNDS; round += 1) {
        const kills = 1 + Math.floor(Math.random() * 40)
        const { found, acknowledged } = await loadAndKill(await launch(), openPage, kills)
        expect(found.problems).toEqual([])
        expect(found.last).toBeGreaterThanOrEqual(Math.max(...before))
        expect(Math.min(...acknowledged)).toBeGreaterThan(found.last)
        before = acknowledged
      }
      expect(Math.max(...before)).toBeGreaterThan(ROUNDS)
    },
  )

  it('keeps everything through two starts after a kill that left a torn record in the log of Chromium', async () => {
    let before: readonly number[] = [-1]
    for (let start = 0; start < 4; start += 1) {
      const { found, acknowledged } = await loadAndKill(await launch(), openPage, 5)
      expect(found.problems).toEqual([])
      expect(found.last).toBeGreaterThanOrEqual(Math.max(...before))
      before = acknowledged
      await tearLog(profile)
    }
  })

  it('answers full when the browser gives no more space, applies nothing, and goes on with less', async () => {
    const context = await launch()
    try {
      const page = await context.newPage()
      // The browser looks at the quota when it first opens the origin's data.
      const session = await context.newCDPSession(page)
      await session.send('Storage.overrideQuotaForOrigin', {
        origin: new URL(address).origin,
        quotaSize: 2_000_000,
      })
      await page.goto(address)
      await page.waitForFunction(() => 'plexusTest' in window)
      const store = await page.evaluate(() => window.plexusTest.open())
      const put = (key: string, length: number): Promise<string> =>
        page.evaluate(([store, key, length]) => window.plexusTest.putNoise(store, key, length), [
          store,
          key,
          length,
        ] as const)
      expect(await put('first', 100_000)).toBe('ok')
      expect(await put('large', 3_000_000)).toBe('full')
      const get = (key: string): Promise<string | undefined> =>
        page.evaluate(([store, key]) => window.plexusTest.get(store, key), [store, key] as const)
      expect(await get('large')).toBeUndefined()
      expect((await get('first'))?.length).toBe(100_000)
      expect(await put('small', 1_000)).toBe('ok')
    } finally {
      await context.close()
    }
  })

  it('fences a page that was frozen while another took over, when it thaws', async () => {
    const context = await launch()
    try {
      const old = await openPage(context)
      const store = await old.evaluate(() => window.plexusTest.open())
      expect(await old.evaluate((store) => window.plexusTest.put(store, 'a', 'before'), store)).toBe('ok')
      const session = await context.newCDPSession(old)
      await session.send('Page.setWebLifecycleState', { state: 'frozen' })
      const late = old.evaluate((store) => window.plexusTest.put(store, 'a', 'late'), store)

      const current = await openPage(context)
      const taken = await current.evaluate(() => window.plexusTest.open())
      expect(await current.evaluate((store) => window.plexusTest.put(store, 'a', 'current'), taken)).toBe(
        'ok',
      )
      await session.send('Page.setWebLifecycleState', { state: 'active' })

      const outcome = await late
      expect(['ok', 'fenced']).toContain(outcome)
      expect(await old.evaluate((store) => window.plexusTest.put(store, 'a', 'later'), store)).toBe('fenced')
      expect(await current.evaluate((store) => window.plexusTest.get(store, 'a'), taken)).toBe('current')
    } finally {
      await context.close()
    }
  })
})

type Round = {
  readonly found: { last: number; problems: readonly string[] }
  readonly acknowledged: readonly number[]
}

/** Lets a page check and load its store, and kills the whole browser after `kills` acknowledgements. */
async function loadAndKill(
  context: BrowserContext,
  openPage: (context: BrowserContext) => Promise<Page>,
  kills: number,
): Promise<Round> {
  const pid = await pidOf(context)
  const closed = new Promise((resolve) => context.once('close', resolve))
  const acknowledged: number[] = []
  const found = Promise.withResolvers<Round['found']>()
  const enough = Promise.withResolvers<void>()
  await context.exposeFunction('report', (report: Report) => {
    if (report.kind === 'found') found.resolve(report)
    if (report.kind === 'acknowledged') acknowledged.push(report.last)
    if (acknowledged.length >= kills) enough.resolve()
    if (report.kind === 'failed') enough.reject(new Error(report.error))
  })
  const page = await openPage(context)
  await page.evaluate(() => window.plexusTest.startLoad())
  try {
    await enough.promise
  } finally {
    // The browser leads a process group of its own.
    process.kill(-pid, 'SIGKILL')
    await closed
    // One that is still writing to the disk lives on for a moment.
    await expect.poll(() => isGroupAlive(pid)).toBe(false)
  }
  return { found: await found.promise, acknowledged }
}

/**
 * Ends the logs of LevelDB as a kill between the two writes of a record does: with a header (checksum, length, type)
 * whose content is missing. A Chromium that keeps IndexedDB in SQLite has no such log.
 */
async function tearLog(profile: string): Promise<void> {
  const header = Buffer.from([0x01, 0x02, 0x03, 0x04, 85, 0, 1])
  const folder = join(profile, 'Default', 'IndexedDB')
  const files = await readdir(folder, { recursive: true })
  for (const file of files.filter((each) => each.endsWith('.log')))
    await appendFile(join(folder, file), header)
}

function isGroupAlive(pid: number): boolean {
  try {
    return process.kill(-pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

async function pidOf(context: BrowserContext): Promise<number> {
  const session = await context.browser()?.newBrowserCDPSession()
  const answer = await session?.send('SystemInfo.getProcessInfo')
  const browser = answer?.processInfo.find(({ type }) => type === 'browser')
  if (browser === undefined) throw new Error('the browser does not say its process id')
  return browser.id
}
