/** Invite links that somebody damaged, made up, took back or used before: a clear word, nothing joined, and the app goes on. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  accept,
  inviteLink,
  makeRoom,
  openApp,
  openBrowser,
  openRoom,
  send,
  shown,
  signUp,
} from '../kit/app.ts'
import { newAccount } from '../kit/p2p.ts'
import { type RelayProcess, startRelay } from '../kit/relay-process.ts'

const ROOM = 'By invitation'
const DAMAGED = 'This link does not work'
/** How long a person may look at a spinner before a link that leads nowhere says so. */
const NOWHERE_MS = 45_000
const SETUP_MS = 120_000

/** Room id, token, secret, inviter, addresses, room name: what a link holds. */
type Parts = [string, string, string, string, string[], string]

const folder = await mkdtemp(join(tmpdir(), 'plexus-hostile-'))
const contexts: BrowserContext[] = []
const faults: (readonly string[])[] = []
let relay: RelayProcess
let host: Page
let guest: Page

async function open(name: string, address: string): Promise<Page> {
  const context = await openBrowser({ profile: join(folder, name) })
  contexts.push(context)
  const opened = await openApp(context, address)
  faults.push(opened.faults)
  return opened.page
}

const PREFIX = '#join.'

function partsOf(link: string): Parts {
  const payload = new URL(link).hash.slice(PREFIX.length)
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Parts
}

const linkOf = (parts: unknown): string =>
  `${relay.address}${PREFIX}${Buffer.from(JSON.stringify(parts)).toString('base64url')}`

/** Opens a link in the tab of somebody who is signed in and accepts it; resolves with the heading of what it says. */
async function refusal(page: Page, link: string): Promise<string> {
  await page.goto(link)
  const main = page.getByRole('main')
  await main.getByRole('button', { name: 'Accept' }).click()
  const problem = page.getByRole('alert').getByRole('heading')
  await problem.waitFor({ timeout: NOWHERE_MS })
  const words = (await problem.textContent()) ?? ''
  await main.getByRole('button', { name: 'Refuse' }).click()
  return words
}

beforeAll(async () => {
  relay = await startRelay({ data: join(folder, 'relay') })
  host = await open('host', relay.address)
  guest = await open('guest', relay.address)
  await signUp(host, 'host')
  await signUp(guest, 'guest')
  await makeRoom(host, ROOM)
}, SETUP_MS)

afterAll(async () => {
  await Promise.all(contexts.map((context) => context.close()))
  await relay?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

describe('an invite link', () => {
  it('that is damaged says so, to a newcomer and to somebody with an account', async () => {
    const link = await inviteLink(host)
    const [room, token, secret, inviter, addresses, name] = partsOf(link)
    const cut = link.slice(0, -7)
    const newcomer = await open('newcomer', cut)
    await newcomer.getByRole('heading', { name: DAMAGED }).waitFor()
    await newcomer.getByRole('button', { name: 'Go on without it' }).click()
    await newcomer.getByRole('button', { name: 'Create account' }).waitFor()
    for (const each of [
      cut,
      `${relay.address}${PREFIX}${'A'.repeat(100_000)}`,
      linkOf([room, token, `${secret}A`, inviter, addresses, name]),
      linkOf([room, token, secret, inviter, ['javascript:alert(1)'], name]),
      linkOf([room, token, secret, inviter, addresses, '\u202egnihton']),
    ]) {
      await guest.goto(each)
      await guest.getByRole('heading', { name: DAMAGED }).waitFor()
      expect(await guest.getByRole('button', { name: 'Accept' }).count()).toBe(0)
      await guest.getByRole('button', { name: 'Close' }).click()
      await guest.getByRole('heading', { name: DAMAGED }).waitFor({ state: 'detached' })
    }
  })

  it('that leads nowhere says whom to ask', async () => {
    const [room, token, secret, , addresses, name] = partsOf(await inviteLink(host))
    const nobody = `@nobody:${newAccount().name}`
    expect(await refusal(guest, linkOf([room, token, secret, nobody, addresses, name]))).toMatch(
      /not reachable/,
    )
  })

  it('with a token, secret or room that the inviter never gave is refused', async () => {
    const [room, token, secret, inviter, addresses, name] = partsOf(await inviteLink(host))
    const other = randomBytes(32).toString('base64url')
    for (const forged of [
      linkOf([room, 'madeUpToken', secret, inviter, addresses, name]),
      linkOf([room, token, other, inviter, addresses, name]),
      linkOf([`!${other}`, token, secret, inviter, addresses, name]),
    ]) {
      expect(await refusal(guest, forged)).toBe('This link is no longer valid')
    }
    expect(await guest.getByRole('region', { name: 'Invitations' }).count()).toBe(0)
  })

  it('that was taken back is refused', async () => {
    await host.getByRole('button', { name: 'Invite', exact: true }).click()
    const field = host.getByRole('textbox', { name: 'Invite link' })
    await field.waitFor()
    const link = await field.inputValue()
    await host.getByRole('button', { name: 'Take back' }).click()
    await host.getByText('The link was taken back').waitFor()
    await host.keyboard.press('Escape')
    expect(await refusal(guest, link)).toBe('This link is no longer valid')
  })

  it('works once', async () => {
    const link = await inviteLink(host)
    await guest.goto(link)
    await accept(guest)
    const late = await open('late', link)
    await signUp(late, 'late')
    expect(await refusal(late, link)).toBe('This link is no longer valid')
    await openRoom(guest, ROOM)
    await send(guest, 'still among us')
    await shown(host, 'still among us')
    expect(faults.flat()).toEqual([])
  })
})
