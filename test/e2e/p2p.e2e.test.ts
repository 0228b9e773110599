import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ServerName } from '@plexus/core'
import type { NetworkStatus } from '@plexus/p2p'
import { type Browser, chromium, type Page } from 'playwright'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchOptions } from '../../scripts/chromium.ts'
import { watchOutput } from '../kit/process.ts'
import type { P2pPage } from './p2p/page.ts'

declare global {
  interface Window {
    p2p: P2pPage
  }
}

const DIALS = 24
/** A dial that meets the init-channel race hangs until its limit, ten seconds; one in fifteen did, unpatched. */
const HANGING_DIAL_MS = 9_500
const USUAL_DIAL_MS = 2_000

type RelayProcess = { readonly url: string; readonly addresses: readonly string[]; kill(): Promise<void> }

const folder = await mkdtemp(join(tmpdir(), 'plexus-p2p-'))
const pages = join(folder, 'page')
let browser: Browser
const relays: RelayProcess[] = []

async function startRelay(data: string, port = 0): Promise<RelayProcess> {
  const script = fileURLToPath(new URL('p2p/relay.ts', import.meta.url))
  const child = spawn(process.execPath, [script, join(folder, data), pages, String(port)], { stdio: 'pipe' })
  const line = await watchOutput(child).match(/^relay (\{.*\})$/m)
  const said = JSON.parse(line) as { url: string; addresses: string[] }
  const relay = {
    ...said,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
  relays.push(relay)
  return relay
}

type Person = { readonly page: Page; readonly name: ServerName; readonly peerId: string }

/** A page that others can find: it has its reservation, and the relay's directory has its name. */
async function open(relay: RelayProcess, addresses = relay.addresses.slice(0, 1)): Promise<Person> {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(relay.url)
  await page.waitForFunction(() => 'p2p' in window)
  const person = { page, ...(await page.evaluate((list) => window.p2p.start(list), addresses)) }
  await until(person, isAtRelay)
  return person
}

const status = ({ page }: Person): Promise<NetworkStatus> => page.evaluate(() => window.p2p.status())
const want = (person: Person, other: Person): Promise<void> =>
  person.page.evaluate((name) => window.p2p.want([name]), other.name)
const send = (from: Person, to: Person, text: string) =>
  from.page.evaluate(([name, body]) => window.p2p.send(name, body), [to.name, text] as const)
/** Whose first attempt at a direct way fails pauses for up to ten seconds. */
const until = (person: Person, state: (status: NetworkStatus) => boolean) =>
  expect.poll(async () => state(await status(person)), { timeout: 60_000, interval: 50 }).toBe(true)
/** The directory learns the name last. */
const isAtRelay = ({ relays }: NetworkStatus): boolean =>
  relays.some(({ state, reserved }) => state === 'connected' && reserved)
const isDirect = ({ peers }: NetworkStatus): boolean => peers.some(({ path }) => path === 'direct')

beforeAll(async () => {
  await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('p2p', import.meta.url)),
    build: { outDir: pages, emptyOutDir: true, target: 'es2022' },
  })
  browser = await chromium.launch({ headless: true, ...launchOptions() })
})
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()))
  await Promise.all(relays.splice(0).map((relay) => relay.kill()))
})
afterAll(async () => {
  await browser.close()
  await rm(folder, { recursive: true, force: true })
})

describe('two pages in two browser contexts', () => {
  it('connect directly through a relay, go on without it, and are back when it is', async () => {
    const relay = await startRelay('one')
    const [a, b] = [await open(relay), await open(relay)]
    await Promise.all([want(a, b), want(b, a)])
    await Promise.all([until(a, isDirect), until(b, isDirect)])
    expect((await send(a, b, 'one')).answer).toBe('{"text":"one"}')
    await until(a, ({ state, peers }) => state === 'online' && peers.every(({ streams }) => streams === 1))

    await relay.kill()
    await Promise.all([
      until(a, ({ state }) => state === 'noRelay'),
      until(b, ({ state }) => state === 'noRelay'),
    ])
    expect((await send(a, b, 'two')).answer).toBe('{"text":"two"}')
    expect((await send(b, a, 'three')).answer).toBe('{"text":"three"}')

    await startRelay('one', Number(new URL(relay.url).port))
    await Promise.all([until(a, ({ state }) => state === 'online'), until(b, isAtRelay)])
    expect((await send(b, a, 'four')).answer).toBe('{"text":"four"}')
    expect(await b.page.evaluate(() => window.p2p.received())).toEqual(['{"text":"one"}', '{"text":"two"}'])
  })

  it('take their reservation over WebRTC-Direct, without WebSocket', async () => {
    const relay = await startRelay('direct')
    const address = relay.addresses.filter((text) => text.includes('/webrtc-direct/'))
    expect(address).toHaveLength(1)
    const [a, b] = [await open(relay, address), await open(relay, address)]
    expect((await send(a, b, 'hello')).answer).toBe('{"text":"hello"}')
    // Only friends are connected directly, from either side.
    await Promise.all([want(a, b), want(b, a)])
    await until(a, isDirect)
  })

  it(`become direct ${DIALS} times without hanging`, async () => {
    const relay = await startRelay('many')
    const b = await open(relay)
    const a = await open(relay)
    const dials: number[] = []
    for (let dial = 0; dial < DIALS; dial += 1) {
      const started = await a.page.evaluate(
        async (addresses) => {
          await window.p2p.stop()
          return window.p2p.start(addresses)
        },
        relay.addresses.slice(0, 1),
      )
      await want(b, { ...a, ...started })
      const ms = await a.page.evaluate(async (name) => {
        await window.p2p.send(name, 'relayed')
        const before = performance.now()
        window.p2p.want([name])
        while (!window.p2p.status().peers.some(({ path }) => path === 'direct')) {
          if (performance.now() - before > 15_000) break
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        return performance.now() - before
      }, b.name)
      dials.push(Math.round(ms))
    }
    dials.sort((one, other) => one - other)
    expect(dials.filter((ms) => ms > HANGING_DIAL_MS)).toEqual([])
    // Of a busy machine some take longer.
    expect(dials[DIALS / 2]).toBeLessThan(USUAL_DIAL_MS)
  })
})
