/** Two tabs of one origin: one node, whichever tab the user points at, and never two writers. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeRoom, openApp, openBrowser, openRoom, send, shown, signUp, timeline } from '../kit/app.ts'
import { type RelayProcess, startRelay } from '../kit/relay-process.ts'
import { rendererOf } from '../kit/renderers.ts'
import { storedEvents } from '../kit/stored.ts'
import { askOnceLetGo, letGo, noteWorker } from '../kit/worker-calls.ts'

const ROOM = 'Notes'
const ELSEWHERE = 'Plexus is open in another tab'
const LATE_TYPE = 'org.example.late'
const LATE_EVENTS = 20

let folder = ''
let relay: RelayProcess
let context: BrowserContext
let first: Page
let roomId = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plexus-takeover-'))
  relay = await startRelay({ data: join(folder, 'relay') })
  // A service worker lives in the process of some tab, and would be frozen with the first one; a real one is not.
  context = await openBrowser({ profile: join(folder, 'profile'), serviceWorker: false })
  await noteWorker(context)
  ;({ page: first } = await openApp(context, relay.address))
  await signUp(first, 'ada')
  roomId = await makeRoom(first, ROOM)
  await send(first, 'from the first tab')
  await acknowledged(first, 'from the first tab')
})

afterEach(async () => {
  await context.close()
  await relay.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const acknowledged = async (page: Page, text: string): Promise<void> => {
  await shown(page, text)
  await expect
    .poll(async () => (await timeline(page)).find((each) => each.text === text)?.delivery)
    .toBe('on this device')
}

/** Text on the screen of `page`, and how many messages its origin's store has. */
const written = async (page: Page): Promise<{ texts: readonly string[]; stored: number }> => ({
  texts: (await timeline(page)).map(({ text }) => text),
  stored: (await storedEvents(page, roomId)).filter(({ pdu }) => pdu.type === 'm.room.encrypted').length,
})

async function takeOver(): Promise<Page> {
  const { page } = await openApp(context, relay.address)
  await page.getByRole('heading', { name: ELSEWHERE }).waitFor()
  return page
}

async function useHere(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Use here' }).click()
  await page.getByRole('button', { name: 'New room' }).waitFor()
  await openRoom(page, ROOM)
  await shown(page, 'from the first tab')
}

describe('two tabs of one browser', () => {
  it('are one account in one tab, that of the last "Use here"', async () => {
    const second = await takeOver()
    await useHere(second)
    await first.getByRole('heading', { name: ELSEWHERE }).waitFor()
    await send(second, 'from the second tab')
    await acknowledged(second, 'from the second tab')

    await useHere(first)
    await second.getByRole('heading', { name: ELSEWHERE }).waitFor()
    await shown(first, 'from the second tab')
    // The tab that waits goes on by itself when the other is closed.
    await first.close()
    await openRoom(second, ROOM)
    // The room is there before its messages are decrypted.
    await shown(second, 'from the second tab')
    await shown(second, 'from the first tab')
    expect(await written(second)).toEqual({ texts: ['from the first tab', 'from the second tab'], stored: 2 })
  })

  it('let a tab that was frozen during the takeover write nothing when it thaws', async () => {
    const second = await takeOver()
    const renderer = await rendererOf(first, [second])
    const late = await askOnceLetGo(first, roomId, LATE_TYPE, LATE_EVENTS)
    process.kill(renderer, 'SIGSTOP')
    try {
      await useHere(second)
      await send(second, 'from the second tab')
      await acknowledged(second, 'from the second tab')
      await letGo(second)
    } finally {
      process.kill(renderer, 'SIGCONT')
    }
    expect(await late.made).toBe(LATE_EVENTS)
    await first.getByRole('heading', { name: ELSEWHERE }).waitFor()
    await send(second, 'after the thaw')
    await acknowledged(second, 'after the thaw')
    expect(await written(second)).toEqual({
      texts: ['from the first tab', 'from the second tab', 'after the thaw'],
      stored: 3,
    })
    const stored = await storedEvents(second, roomId)
    expect(stored.filter(({ pdu }) => pdu.type === LATE_TYPE)).toEqual([])
  })
})
