/** SIGKILL of the whole browser while somebody writes: what was shown as sent is there, once and readable. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadWhole, makeRoom, openApp, openBrowser, openRoom, send, signUp, timeline } from '../kit/app.ts'
import { type RelayProcess, startRelay } from '../kit/relay-process.ts'
import { killBrowser } from '../kit/renderers.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'
import { storedTimeline } from '../kit/stored.ts'

const ROUNDS = Number(process.env['CRASH_RUNS'] ?? 12)
/** A limit against hanging. */
const LIMIT_MS = 60_000 + ROUNDS * 12_000
const MOST_BEFORE_KILL = 12
const SEED = 11
const ROOM = 'Under load'

const folder = await mkdtemp(join(tmpdir(), 'plexus-kill-'))
let relay: RelayProcess

beforeAll(async () => {
  relay = await startRelay({ data: join(folder, 'relay') })
})
afterAll(async () => {
  await relay?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const open = async (): Promise<{ context: BrowserContext; page: Page }> => {
  const context = await openBrowser({ profile: join(folder, 'profile') })
  const { page } = await openApp(context, relay.address)
  return { context, page }
}

/** Calls `seen` with each message that the screen says is stored, as soon as it says so. */
async function watchAcknowledged(page: Page, seen: (eventId: string, text: string) => void): Promise<void> {
  await page.exposeFunction('acknowledged', seen)
  await page.evaluate(() => {
    const { acknowledged: tell } = window as unknown as { acknowledged: (id: string, text: string) => void }
    const told = new Set<string>()
    const look = (): void => {
      for (const article of document.querySelectorAll('article[data-delivery="on this device"]')) {
        const id = article.getAttribute('data-event-id') ?? ''
        const text = article.querySelector('.text')?.textContent ?? ''
        // After a restart what was written before is shown at once, and read a moment later.
        if (told.has(id) || text === 'Decrypting…') continue
        told.add(id)
        tell(id, text)
      }
    }
    const changes = { subtree: true, childList: true, attributes: true, characterData: true }
    new MutationObserver(look).observe(document.body, changes)
    look()
  })
}

/** Writes as fast as the page takes it; what the kill interrupts is no error. */
async function writeUntil(page: Page, label: string, killed: () => boolean): Promise<void> {
  try {
    for (let index = 0; !killed(); index += 1) await send(page, `${label} message ${index}`)
  } catch (error) {
    if (!killed()) throw error
  }
}

describe('a browser that is killed', () => {
  it(
    `loses and doubles nothing of what it acknowledged, ${ROUNDS} times`,
    { timeout: LIMIT_MS },
    async () => {
      const random = createSeededRandom(SEED)
      const acknowledged = new Map<string, string>()
      let roomId = ''

      for (let round = 0; round <= ROUNDS; round += 1) {
        const { context, page } = await open()
        if (round === 0) {
          await signUp(page, 'ada')
          roomId = await makeRoom(page, ROOM)
        } else await openRoom(page, ROOM)
        const stored = await storedTimeline(page, roomId)
        expect(new Set(stored).size).toBe(stored.length)
        expect([...acknowledged.keys()].filter((id) => !stored.includes(id))).toEqual([])

        if (round === ROUNDS) {
          await loadWhole(page)
          // What was just loaded is shown before it is decrypted; one that never is fails here.
          await page.waitForFunction(() => !document.body.textContent?.includes('Decrypting…'))
          const onScreen = await timeline(page)
          const texts = onScreen.map(({ text }) => text)
          expect(texts.filter((text, index) => texts.indexOf(text) !== index)).toEqual([])
          const byId = new Map(onScreen.map(({ eventId, text }) => [eventId, text]))
          expect([...acknowledged].filter(([id, text]) => byId.get(id) !== text)).toEqual([])
          expect(acknowledged.size).toBeGreaterThan(ROUNDS)
          await context.close()
          break
        }
        const enough = 1 + ((random.bytes(1)[0] ?? 0) % MOST_BEFORE_KILL)
        const goal = acknowledged.size + enough
        const reached = Promise.withResolvers<void>()
        await watchAcknowledged(page, (id, text) => {
          acknowledged.set(id, text)
          if (acknowledged.size >= goal) reached.resolve()
        })
        let killed = false
        const writing = writeUntil(page, `round ${round}`, () => killed)
        await reached.promise
        killed = true
        await killBrowser(context)
        await writing
      }
    },
  )
})
