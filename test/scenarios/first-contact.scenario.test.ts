/** Two people who have never met, and whose browsers are never open together: invited by user id, and by a link. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  accept,
  inviteLink,
  makeRoom,
  message,
  openApp,
  openBrowser,
  openRoom,
  send,
  shown,
  signUp,
} from '../kit/app.ts'
import { freePort } from '../kit/free-port.ts'
import { startRelay, type RelayProcess } from '../kit/relay-process.ts'

const ROOM = 'Never together'
const LIMIT_MS = 300_000
const WAIT_MS = 60_000

let folder = ''
let relay: RelayProcess
let admin = 0
const open: BrowserContext[] = []

/** Opens the browser of a person; nobody else has one open. */
async function awake(name: string): Promise<Page> {
  for (const context of open.splice(0)) await context.close()
  return joinedBy(name)
}

/** Opens the browser of a person beside those that are open. */
async function joinedBy(name: string): Promise<Page> {
  const context = await openBrowser({ profile: join(folder, name) })
  open.push(context)
  return (await openApp(context, relay.address)).page
}

async function userIdOf(page: Page): Promise<string> {
  await page.goto(`${relay.address}#/settings`)
  return page.getByLabel('User id').inputValue()
}

/** What the relay counts. */
async function counted(what: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text()
  return Number(new RegExp(`^${what} (\\d+)$`, 'm').exec(text)?.[1])
}

/** Makes an account that others find, leave mail for, and encrypt to. */
async function newPerson(name: string, mailboxes: number): Promise<Page> {
  const page = await awake(name)
  const before = await counted('plexus_mail_stocked')
  await signUp(page, name)
  await expect.poll(() => counted('plexus_mail_boxes'), { timeout: WAIT_MS }).toBe(mailboxes)
  await expect.poll(() => counted('plexus_mail_stocked'), { timeout: WAIT_MS }).toBeGreaterThan(before)
  return page
}

const delivery = (page: Page, text: string): Promise<string | null> =>
  message(page, text).getAttribute('data-delivery')

async function says(page: Page, text: string): Promise<void> {
  await send(page, text)
  await expect.poll(() => delivery(page, text), { timeout: WAIT_MS }).toBe('at relay')
}

describe('first contact of two who are never there together', () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'plexus-first-'))
    admin = await freePort()
    relay = await startRelay({ data: join(folder, 'relay'), args: ['--admin', `127.0.0.1:${admin}`] })
  }, LIMIT_MS)
  afterEach(async () => {
    for (const context of open.splice(0)) await context.close()
    await relay.stop()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  it('by user id', { timeout: LIMIT_MS }, async () => {
    let ben = await newPerson('ben', 1)
    const benId = await userIdOf(ben)
    let ada = await newPerson('ada', 2)
    await makeRoom(ada, ROOM)
    await ada.getByRole('button', { name: 'Invite', exact: true }).click()
    await ada.getByText('By user id instead').click()
    await ada.getByLabel('User id').fill(benId)
    await ada.getByRole('button', { name: 'Add person' }).click()
    await ada.getByText(/^Asked @ben/).waitFor({ timeout: WAIT_MS })
    await ada.keyboard.press('Escape')
    await says(ada, 'hello')

    ben = await awake('ben')
    await accept(ben)
    await shown(ben, 'hello')
    await says(ben, 'hi')

    ada = await awake('ada')
    await openRoom(ada, ROOM)
    await shown(ada, 'hi', WAIT_MS)
    await says(ada, 'how are you?')

    ben = await awake('ben')
    await openRoom(ben, ROOM)
    await shown(ben, 'how are you?', WAIT_MS)
  })

  it('by a link', { timeout: LIMIT_MS }, async () => {
    let ada = await newPerson('ada', 1)
    await makeRoom(ada, ROOM)
    const link = await inviteLink(ada)

    let ben = await newPerson('ben', 2)
    await ben.goto(link)
    await ben.getByRole('button', { name: 'Accept' }).click()
    await ben.getByText(/^Waiting for/).waitFor({ timeout: WAIT_MS })
    await expect.poll(() => counted('plexus_mail_taken'), { timeout: WAIT_MS }).toBe(1)

    ada = await awake('ada')
    await openRoom(ada, ROOM)
    await ada.getByRole('button', { name: '1 member' }).click()
    await ada
      .getByRole('complementary', { name: 'Members' })
      .getByText('invited')
      .waitFor({ timeout: WAIT_MS })
    await ada.getByRole('button', { name: 'Close members' }).click()
    await says(ada, 'hello')

    ben = await awake('ben')
    await accept(ben)
    await shown(ben, 'hello')
    await says(ben, 'hi')

    ada = await awake('ada')
    await openRoom(ada, ROOM)
    await shown(ada, 'hi', WAIT_MS)

    // The link is used up: who opens it now hears of that once Ada is back.
    const cid = await newPerson('cid', 3)
    const before = await counted('plexus_mail_taken')
    await cid.goto(link)
    await cid.getByRole('button', { name: 'Accept' }).click()
    await cid.getByText(/^Waiting for/).waitFor({ timeout: WAIT_MS })
    await expect.poll(() => counted('plexus_mail_taken'), { timeout: WAIT_MS }).toBeGreaterThan(before)
    await joinedBy('ada')
    await cid.getByText(/link is no longer valid/).waitFor({ timeout: WAIT_MS })
    await cid.getByRole('button', { name: 'Forget' }).click()
    await expect.poll(() => cid.getByRole('region', { name: 'Opened links' }).count()).toBe(0)
  })
})
