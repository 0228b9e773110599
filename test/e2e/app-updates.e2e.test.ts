/** The copy of the app that the service worker keeps: whole or not at all, and replaced only with consent. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { launchBrowser } from '../kit/browser.ts'

const BUILT = fileURLToPath(new URL('../../apps/web/dist/', import.meta.url))
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}
const READY = 'A new version of Plexus is ready'

/** What is served in place of a file of the build. */
const changed = new Map<string, Buffer>()
const fetched: string[] = []
let alive = true
let server: Server
let address = ''
let browser: Browser
let context: BrowserContext
let page: Page

const fileOf = (path: string): Buffer => changed.get(path) ?? readFileSync(join(BUILT, path))
const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64url')

function serve(): Server {
  return createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const path = pathname === '/' ? '/index.html' : pathname
    if (!alive) {
      request.socket.destroy()
      return
    }
    fetched.push(path)
    try {
      const body = fileOf(path)
      response
        .writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream' })
        .end(body)
    } catch {
      response.writeHead(404).end()
    }
  })
}

/** Serves a build that differs in its page, as the build would have written it. */
function release(version: string, page: Buffer, claimed: string): void {
  const worker = readFileSync(join(BUILT, 'service-worker.js'), 'utf8')
    .replace(/"version":"[^"]+"/, `"version":"${version}"`)
    .replace(/\["\/index\.html","[^"]+"\]/, `["/index.html","${claimed}"]`)
  changed.set('/index.html', page)
  changed.set('/service-worker.js', Buffer.from(worker))
}

const pageOf = (version: string): Buffer =>
  Buffer.from(
    readFileSync(join(BUILT, 'index.html'), 'utf8').replace('<html', `<html data-version="${version}"`),
  )

const version = (): Promise<string | undefined> =>
  page.evaluate(() => document.documentElement.dataset['version'])
const shown = (): Promise<void> => page.getByRole('button', { name: 'Create account' }).waitFor()
const kept = (): Promise<string[]> => page.evaluate(() => caches.keys())

/** Looks for an update; resolves when the new service worker waits or was given up. */
const lookForUpdate = (): Promise<string> =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready
    // On a busy machine it may wait already when the page hears of the end of the update.
    const found = await new Promise<ServiceWorker | null>((resolve, reject) => {
      registration.addEventListener('updatefound', () => resolve(registration.installing), { once: true })
      registration.update().catch(reject)
    })
    while (found?.state === 'installing') {
      await new Promise((resolve) => found.addEventListener('statechange', resolve, { once: true }))
    }
    return found?.state ?? 'none'
  })

beforeAll(async () => {
  server = serve()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  browser = await launchBrowser()
})

afterAll(async () => {
  await browser.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

beforeEach(async () => {
  await context?.close()
  alive = true
  changed.clear()
  context = await browser.newContext()
  page = await context.newPage()
  await page.goto(address)
  await shown()
  await page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated')
  fetched.length = 0
})

describe('the kept app', () => {
  it('opens with its server dead', async () => {
    alive = false
    await page.reload()
    await shown()
    expect(fetched).toEqual([])
  })

  it('is asked of the server no more, but for the relays', async () => {
    await page.reload()
    await shown()
    await expect.poll(() => fetched).toContain('/plexus.json')
    // On a busy machine the page before the reload asked for them late.
    expect(new Set(fetched.filter((path) => path !== '/service-worker.js'))).toEqual(
      new Set(['/plexus.json']),
    )
  })

  it('is replaced only when the user agrees', async () => {
    release('v2', pageOf('v2'), hashOf(pageOf('v2')))
    expect(await lookForUpdate()).toBe('installed')
    await page.getByText(READY).waitFor()
    // What did not change is not fetched again.
    expect(fetched.filter((path) => path.startsWith('/assets/'))).toEqual([])
    await page.reload()
    await shown()
    expect(await version()).toBeUndefined()

    const loaded = page.waitForEvent('load')
    await page.getByRole('button', { name: 'Update and reload' }).click()
    await loaded
    await shown()
    expect(await version()).toBe('v2')
    expect(await kept()).toEqual(['plexus-app-v2'])
  })

  it('is not replaced by files that are not of one build', async () => {
    const before = await kept()
    release('v3', pageOf('v3'), hashOf(pageOf('something else')))
    expect(await lookForUpdate()).toBe('redundant')
    expect(await page.getByText(READY).count()).toBe(0)
    await page.reload()
    await shown()
    expect(await version()).toBeUndefined()
    expect(await page.evaluate(async () => (await caches.match('/index.html'))?.status)).toBe(200)
    expect(before).toHaveLength(1)
  })
})
