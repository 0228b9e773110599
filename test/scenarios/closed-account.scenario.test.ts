/** Somebody closes their account for ever, and who looks for them is told. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext } from 'playwright'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { makeRoom, openApp, openBrowser, signUp } from '../kit/app.ts'
import { type RelayProcess, startRelay } from '../kit/relay-process.ts'

const LIMIT_MS = 240_000
/** Enough for a busy machine to tell a relay, and for a search. */
const TOLD_MS = 60_000

let folder = ''
let relay: RelayProcess
const browsers: BrowserContext[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plexus-closed-'))
  relay = await startRelay({ data: join(folder, 'relay') })
}, LIMIT_MS)
afterEach(async () => {
  for (const browser of browsers.splice(0)) await browser.close()
  await relay.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

async function person(name: string) {
  const browser = await openBrowser({ profile: join(folder, name) })
  browsers.push(browser)
  const { page } = await openApp(browser, relay.address)
  await signUp(page, name)
  return { browser, page }
}

it('is told that the account was given up', { timeout: LIMIT_MS }, async () => {
  const { browser, page: ada } = await person('ada')
  await ada.goto(`${relay.address}#/settings`)
  const adaId = await ada.getByLabel('User id').inputValue()
  await ada.getByRole('button', { name: 'Close account' }).click()
  await ada.getByRole('button', { name: 'Close for ever' }).click()
  await ada.getByText('The account is closed').waitFor({ timeout: TOLD_MS })

  const { page: ben } = await person('ben')
  await makeRoom(ben, 'Hut')
  await ben.getByRole('button', { name: 'Invite', exact: true }).click()
  await ben.getByText('By user id instead').click()
  await ben.getByLabel('User id').fill(adaId)
  const words = ben.getByText('This account was given up by its owner.')
  await expect
    .poll(
      async () => {
        await ben.getByRole('button', { name: 'Add person' }).click()
        return words.isVisible()
      },
      { timeout: TOLD_MS, interval: 1_000 },
    )
    .toBe(true)

  // Nor does the browser start that account again, or make another one under its name.
  await ada.close()
  const again = await browser.newPage()
  await again.goto(relay.address)
  await again.getByText('This account is closed').waitFor({ timeout: TOLD_MS })
})
