/** The main job, on real input: two browsers, a relay that dies, and two people who do not notice. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Locator, Page } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  accept,
  connectionWords,
  exportAccount,
  importAccount,
  installed,
  inviteLink,
  makeRoom,
  message,
  openApp,
  openBrowser,
  openRoom,
  pathShown,
  send,
  sendFiles,
  shown,
  shownRoom,
  signUp,
  started,
} from '../kit/app.ts'
import { noisePng, pixelHash } from '../kit/image.ts'
import { type RelayProcess, startRelay } from '../kit/relay-process.ts'
import { storedEvents, storedText } from '../kit/stored.ts'
import { connectedEnds, tamperWithFiles, wireText } from '../kit/wire.ts'

const ROOM = 'Tea at four'
/** Two nodes find each other within this, also when their relay came back, and a direct way. */
const MEET_MS = 60_000
const SETUP_MS = 120_000

type Person = { readonly context: BrowserContext; readonly page: Page; readonly faults: readonly string[] }

const folder = await mkdtemp(join(tmpdir(), 'plexus-two-'))
let relay: RelayProcess
let a: Person
let b: Person
let c: Person | undefined
let roomId = ''

async function person(name: string): Promise<Person> {
  const context = await openBrowser({ profile: join(folder, name), wire: true })
  const opened = await openApp(context, relay.address)
  await signUp(opened.page, name)
  return { context, ...opened }
}

async function says(from: Person, to: Person, text: string): Promise<void> {
  await send(from.page, text)
  await shown(to.page, text)
  await expect.poll(() => delivery(from, text)).toBe('delivered')
}

const replacedWords = (page: Page): Locator =>
  page.getByRole('heading', { name: 'This account now runs on another device' })

const delivery = ({ page }: Person, text: string): Promise<string | null> =>
  message(page, text).getAttribute('data-delivery')

beforeAll(async () => {
  relay = await startRelay({ data: join(folder, 'relay') })
  ;[a, b] = await Promise.all([person('ada'), person('ben')])
  roomId = await makeRoom(a.page, ROOM)
  const link = await inviteLink(a.page)
  await b.page.goto(link)
  await accept(b.page)
}, SETUP_MS)

afterAll(async () => {
  await Promise.all([a?.context.close(), b?.context.close(), c?.context.close()])
  await relay?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

describe('two people in two browsers', () => {
  it('exchange text that nobody else can read, by wire or by disk', async () => {
    expect(shownRoom(b.page)).toBe(roomId)
    const texts = ['the first words of Ada', 'the first words of Ben']
    await says(a, b, texts[0] ?? '')
    await says(b, a, texts[1] ?? '')

    for (const { page } of [a, b]) {
      const events = await storedEvents(page, roomId)
      expect(events.filter(({ pdu }) => pdu.type === 'm.room.message')).toEqual([])
      const encrypted = events.filter(({ pdu }) => pdu.type === 'm.room.encrypted')
      expect(encrypted).toHaveLength(2)
      const [store, wire] = [await storedText(page), await wireText(page)]
      for (const text of texts) {
        expect(store.includes(text)).toBe(false)
        expect(wire.includes(text)).toBe(false)
      }
      expect(wire).not.toContain('"m.room.message"')
      // What was looked at is what carried them.
      for (const { pdu } of encrypted) expect(wire).toContain(String(pdu.content['ciphertext']))
      expect(wire).toContain('"type":"m.room.encrypted"')
    }
  })

  it('are connected directly', async () => {
    for (const { page } of [a, b])
      await expect.poll(() => pathShown(page), { timeout: MEET_MS }).toBe('direct')
    for (const { page } of [a, b]) {
      const ends = await connectedEnds(page)
      expect(ends.length).toBeGreaterThan(0)
      expect(ends.flat()).not.toContain('relay')
      expect(await connectionWords(page).textContent()).toBe('Online')
    }
  })

  it('see an image as it was sent, and none that was changed on the way', async () => {
    const picture = noisePng(240, 160)
    await sendFiles(a.page, { name: 'garden.png', mimeType: 'image/png', buffer: picture.bytes })
    const image = b.page.getByRole('img', { name: 'garden.png' })
    await image.waitFor()
    expect(await pixelHash(image)).toBe(picture.pixelHash)
    expect(await wireText(b.page)).not.toContain('PNG\r\n')

    await tamperWithFiles(a.page, true)
    await sendFiles(a.page, { name: 'forged.png', mimeType: 'image/png', buffer: noisePng(240, 160).bytes })
    await b.page.getByText('its hash is wrong').waitFor()
    expect(await b.page.getByRole('img', { name: 'forged.png' }).count()).toBe(0)
    await tamperWithFiles(a.page, false)
  })

  it('go on without the relay, wait for it when both were away, and meet again', async () => {
    await Promise.all([installed(a.page), installed(b.page)])
    await relay.stop('SIGKILL')
    await expect.poll(() => connectionWords(a.page).textContent()).toBe('No relay')
    await says(a, b, 'no relay, said Ada')
    await says(b, a, 'no relay, said Ben')

    await Promise.all([a.page.reload(), b.page.reload()])
    for (const { page } of [a, b]) {
      await started(page)
      await shown(page, 'the first words of Ada')
      await shown(page, 'the first words of Ben')
      await shown(page, 'no relay, said Ben')
      await expect.poll(() => connectionWords(page).textContent()).toBe('Offline')
    }
    await send(a.page, 'waiting for the relay')
    await expect.poll(() => delivery(a, 'waiting for the relay')).toBe('on this device')
    await expect.poll(() => connectionWords(a.page).textContent()).toBe('Offline, 1 waiting')
    expect(await message(b.page, 'waiting for the relay').count()).toBe(0)

    const { address } = relay
    relay = await startRelay({ data: join(folder, 'relay'), port: null })
    expect(relay.address).toBe(address)
    await shown(b.page, 'waiting for the relay', MEET_MS)
    await expect.poll(() => delivery(a, 'waiting for the relay')).toBe('delivered')
    await expect.poll(() => connectionWords(a.page).textContent(), { timeout: MEET_MS }).toBe('Online')
    await says(b, a, 'here again')
    await expect.poll(() => pathShown(a.page), { timeout: MEET_MS }).toBe('direct')
    expect([...a.faults, ...b.faults]).toEqual([])
  })

  it('reach each other by mail when they are never there together', async () => {
    await b.page.close()
    await send(a.page, 'left for Ben')
    await expect.poll(() => delivery(a, 'left for Ben'), { timeout: MEET_MS }).toBe('at relay')
    await a.page.close()
    b = { ...b, ...(await openApp(b.context, relay.address)) }
    await openRoom(b.page, ROOM)
    await shown(b.page, 'left for Ben')
    await send(b.page, 'left for Ada')
    await expect.poll(() => delivery(b, 'left for Ada'), { timeout: MEET_MS }).toBe('at relay')
    await b.page.close()
    a = { ...a, ...(await openApp(a.context, relay.address)) }
    await openRoom(a.page, ROOM)
    await shown(a.page, 'left for Ada')
    // His mail told that hers came.
    await expect.poll(() => delivery(a, 'left for Ben')).toBe('delivered')
    expect([...a.faults, ...b.faults]).toEqual([])
  })

  it('keep an account where it was imported, which the browser before says and does not take back unasked', async () => {
    const exported = await exportAccount(a.page)
    if (b.page.isClosed()) b = { ...b, ...(await openApp(b.context, relay.address)) }
    await openRoom(b.page, ROOM)
    const context = await openBrowser({ profile: join(folder, 'ada elsewhere') })
    c = { context, ...(await openApp(context, relay.address)) }
    await importAccount(c.page, exported)
    await c.page.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name: ROOM }).waitFor()
    await openRoom(c.page, ROOM)
    await says(c, b, 'from elsewhere, said Ada')
    await replacedWords(a.page).waitFor()

    await a.page.close()
    a = { ...a, ...(await openApp(a.context, relay.address)) }
    await replacedWords(a.page).waitFor()
    await says(b, c, 'to elsewhere, said Ben')
    const download = a.page.waitForEvent('download')
    await a.page.getByRole('button', { name: 'Export account' }).click()
    expect((await download).suggestedFilename()).toBe('ada.plexus')

    await a.page.getByRole('button', { name: 'Use it here again' }).click()
    await a.page.getByRole('button', { name: 'Take it back' }).click()
    await a.page.getByRole('button', { name: 'New room' }).waitFor()
    await replacedWords(c.page).waitFor()
    await c.page.getByRole('button', { name: 'Remove from this browser' }).click()
    await c.page.getByRole('button', { name: 'Remove for ever' }).click()
    await c.page.getByRole('button', { name: 'Create account' }).waitFor()
    // As where the browser dies while it removes the account.
    await b.page.evaluate(() => localStorage.setItem('plexus.removing', 'yes'))
    await b.page.reload()
    await b.page.getByRole('button', { name: 'Create account' }).waitFor()
    expect([...a.faults, ...b.faults, ...c.faults]).toEqual([])
  })
})
