/** Drives the app as a person does, by its accessible names. For end-to-end tests and benchmarks. */
import { type BrowserContext, chromium, type Locator, type Page } from 'playwright'
import { launchOptions } from '../../scripts/chromium.ts'
import { watchFaults } from './browser.ts'
import { recordWire } from './wire.ts'

/** Starting the node and loading the crypto on a machine that is busy. */
const START_MS = 30_000
/** What crosses the network, with a join or a first contact in it. */
const NETWORK_MS = 30_000

export type BrowserInit = {
  /** The folder of the profile: a second browser on the same one has the same account. */
  readonly profile: string
  /** Records what WebRTC carries, see `wire.ts`. It costs time, so benchmarks leave it out. */
  readonly wire?: boolean
  /** False: the app is not kept for opening without its server. */
  readonly serviceWorker?: boolean
}

/** A browser process of its own with its profile on disk, as a person has one. */
export async function openBrowser(init: BrowserInit): Promise<BrowserContext> {
  const { profile, wire = false, serviceWorker = true } = init
  const context = await chromium.launchPersistentContext(profile, {
    ...launchOptions(),
    serviceWorkers: serviceWorker ? 'allow' : 'block',
  })
  if (wire) await recordWire(context)
  return context
}

/** Opens the app or a link in a new tab; resolves when it asks for something or shows the rooms. */
export async function openApp(
  context: BrowserContext,
  address: string,
): Promise<{ page: Page; faults: readonly string[] }> {
  const page = await context.newPage()
  const faults = await watchFaults(page)
  await page.goto(address)
  await started(page)
  return { page, faults }
}

/** Resolves when the page has come past starting. */
export async function started(page: Page): Promise<void> {
  const usable = page.getByRole('button', { name: 'New room' })
  const asks = page.getByRole('button', {
    name: /^(?:Create account|Use here|Use it here again|Reload|Go on without it)$/,
  })
  await usable.or(asks).first().waitFor({ timeout: START_MS })
}

/** Makes the account; resolves when the app is usable. */
export async function signUp(page: Page, name: string): Promise<void> {
  await page.getByLabel('Your name').fill(name)
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('button', { name: 'New room' }).waitFor({ timeout: START_MS })
}

/** The words and the file by which the account can be opened elsewhere. The words must not have been confirmed. */
export async function exportAccount(page: Page): Promise<{ words: string; file: string }> {
  await page.goto(`${page.url().split('#')[0] ?? ''}#/settings`)
  await page.getByRole('button', { name: 'Show recovery phrase' }).click()
  const list = page.getByRole('dialog').getByRole('listitem')
  await list.first().waitFor()
  const words = (await list.allTextContents()).join(' ')
  await page.keyboard.press('Escape')
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export account' }).click()
  return { words, file: await (await download).path() }
}

/** Opens the account of somebody else's browser in one without any; resolves when the app is usable. */
export async function importAccount(page: Page, from: { words: string; file: string }): Promise<void> {
  await page.getByRole('button', { name: 'I have an account: import it' }).click()
  await page.getByLabel('Recovery phrase').fill(from.words)
  await page.getByLabel('Exported file').setInputFiles(from.file)
  await page.getByRole('button', { name: 'Import' }).click()
  await page.getByRole('button', { name: 'New room' }).waitFor({ timeout: START_MS })
}

/** Makes a room, encrypted as the app proposes; resolves with its id when it is shown. */
export async function makeRoom(page: Page, name: string): Promise<string> {
  await page.getByRole('button', { name: 'New room' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill(name)
  await dialog.getByRole('button', { name: 'Create' }).click()
  await messageBox(page).waitFor({ timeout: NETWORK_MS })
  return shownRoom(page)
}

/** The id of the room that the page shows. */
export function shownRoom(page: Page): string {
  const [, where, room] = new URL(page.url()).hash.split('/')
  if (where !== 'room' || room === undefined) throw new Error(`no room is shown at ${page.url()}`)
  return decodeURIComponent(room)
}

/** Opens a room from the list. */
export async function openRoom(page: Page, name: string): Promise<void> {
  await page
    .getByRole('navigation', { name: 'Rooms' })
    .getByRole('link', { name: new RegExp(name) })
    .click()
  await messageBox(page).waitFor()
}

/** Makes a link into the shown room. */
export async function inviteLink(page: Page): Promise<string> {
  await page.getByRole('button', { name: 'Invite', exact: true }).click()
  const field = page.getByRole('textbox', { name: 'Invite link' })
  await field.waitFor({ timeout: NETWORK_MS })
  const link = await field.inputValue()
  await page.keyboard.press('Escape')
  await field.waitFor({ state: 'detached' })
  return link
}

/** Accepts the invitation that the page shows; resolves when the room is there. */
export async function accept(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Accept' }).click()
  await messageBox(page).waitFor({ timeout: NETWORK_MS })
}

/** Waits until the shown room has that many members. */
export async function members(page: Page, count: number): Promise<void> {
  await page.getByRole('button', { name: `${count} members` }).waitFor({ timeout: NETWORK_MS })
}

/** Writes into the shown room. The message need not have left, nor be stored, when this resolves. */
export async function send(page: Page, text: string): Promise<void> {
  await messageBox(page).fill(text)
  await page.getByRole('button', { name: 'Send', exact: true }).click()
}

export async function sendFiles(
  page: Page,
  ...files: readonly { readonly name: string; readonly mimeType: string; readonly buffer: Buffer }[]
): Promise<void> {
  await page.getByLabel('Files to attach').setInputFiles([...files])
}

export function messageBox(page: Page): Locator {
  return page.getByRole('textbox', { name: 'Message' })
}

/** The messages of the shown room, oldest first. */
export function messages(page: Page): Locator {
  return page.getByRole('region', { name: 'Timeline' }).getByRole('article')
}

export function message(page: Page, text: string): Locator {
  return messages(page).filter({ hasText: text })
}

/** Waits until the text is on the screen, decrypted, as one message. */
export async function shown(page: Page, text: string, timeout: number = NETWORK_MS): Promise<void> {
  await message(page, text).waitFor({ timeout })
}

export type ShownMessage = { readonly eventId: string; readonly delivery: string; readonly text: string }

/** What stands in the shown room, oldest first. `text` is that of the bubble, without sender and time. */
export function timeline(page: Page): Promise<readonly ShownMessage[]> {
  return messages(page).evaluateAll((articles) =>
    articles.map((article) => ({
      eventId: article.getAttribute('data-event-id') ?? '',
      delivery: article.getAttribute('data-delivery') ?? '',
      text: article.querySelector('.text')?.textContent ?? '',
    })),
  )
}

/** Loads earlier messages until the room begins. */
export async function loadWhole(page: Page): Promise<void> {
  const begins = page.getByText(/^This is where .* begins\.$/)
  const earlier = page.getByRole('button', { name: 'Load earlier messages' })
  while ((await begins.count()) === 0) {
    await begins.or(earlier).first().waitFor()
    // The page also loads by itself, which takes the button away.
    await earlier.click({ timeout: 500 }).catch(() => undefined)
  }
}

/** `Online`, `Relayed`, `No relay` or `Offline`, and how many messages wait. */
export function connectionWords(page: Page): Locator {
  return page.getByRole('status', { name: 'Connection' })
}

/** How the first person on the connection's page is connected: `direct`, for example. */
export async function pathShown(page: Page): Promise<string> {
  await connectionWords(page).click()
  const row = page.getByRole('table').first().locator('td[data-state]')
  await row.waitFor()
  const words = (await row.textContent()) ?? ''
  await page.goBack()
  return words
}

/** Resolves when the app is kept for opening without its server. */
export async function installed(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready
  })
}
