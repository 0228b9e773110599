/** Three relays, of which the one in use dies during a conversation, then all, then one comes back. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  accept,
  connectionWords,
  installed,
  inviteLink,
  makeRoom,
  members,
  message,
  openApp,
  openBrowser,
  openRoom,
  pathShown,
  send,
  shown,
  signUp,
  timeline,
} from '../kit/app.ts'
import { freePort } from '../kit/free-port.ts'
import { startRelay, type RelayProcess } from '../kit/relay-process.ts'

const ROOM = 'Three relays'
const RELAYS = 3
const HEAL_MS = 90_000
const LIMIT_MS = 300_000

type Person = { readonly context: BrowserContext; page: Page }
type Place = { readonly data: string; readonly port: number; multiaddr: string }

const folder = await mkdtemp(join(tmpdir(), 'plexus-relays-'))
const places: Place[] = []
const relays: RelayProcess[] = []
const sent: string[] = []
let a: Person
let b: Person

/** With the other relays as its peers. */
async function startAt(place: Place): Promise<RelayProcess> {
  const peers = places.flatMap((each) =>
    each === place || each.multiaddr === '' ? [] : ['--peer', each.multiaddr],
  )
  return startRelay({ data: place.data, port: place.port, args: peers })
}

/** A relay's address holds its key, which it makes at its first start. */
async function meet(place: Place): Promise<void> {
  await using relay = await startAt(place)
  const { relays: told } = (await (await fetch(`${relay.address}plexus.json`)).json()) as { relays: string[] }
  place.multiaddr = told[0] ?? ''
}

async function person(name: string): Promise<Person> {
  const context = await openBrowser({ profile: join(folder, name) })
  const { page } = await openApp(context, relays[0]?.address ?? '')
  await signUp(page, name)
  return { context, page }
}

const delivery = ({ page }: Person, text: string): Promise<string | null> =>
  message(page, text).getAttribute('data-delivery')

const words = ({ page }: Person): Promise<string | null> => connectionWords(page).textContent()

async function says(from: Person, to: Person, text: string): Promise<void> {
  sent.push(text)
  await send(from.page, text)
  await shown(to.page, text)
  await expect.poll(() => delivery(from, text)).toBe('delivered')
}

describe('a conversation with three relays', () => {
  beforeAll(async () => {
    for (let index = 0; index < RELAYS; index += 1)
      places.push({ data: join(folder, `relay${index}`), port: await freePort(), multiaddr: '' })
    for (const place of places) await meet(place)
    for (const place of places) relays.push(await startAt(place))
    a = await person('ada')
    b = await person('ben')
    await makeRoom(a.page, ROOM)
    await b.page.goto(await inviteLink(a.page))
    await accept(b.page)
    await members(a.page, 2)
    await members(b.page, 2)
    await Promise.all([installed(a.page), installed(b.page)])
  }, LIMIT_MS)
  afterAll(async () => {
    await Promise.all([a?.context.close(), b?.context.close()])
    await Promise.all(relays.map((relay) => relay.stop()))
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  it('goes on without the relay in use, without any, and heals by one', { timeout: LIMIT_MS }, async () => {
    await says(a, b, 'all three are there')
    await relays[0]?.stop('SIGKILL')
    await says(b, a, 'one is dead')
    await says(a, b, 'it is')
    // By mail as well: the other two have it.
    await b.page.close()
    sent.push('left at the others')
    await send(a.page, 'left at the others')
    await expect.poll(() => delivery(a, 'left at the others'), { timeout: HEAL_MS }).toBe('at relay')
    b.page = (await openApp(b.context, relays[0]?.address ?? '')).page
    await openRoom(b.page, ROOM)
    await shown(b.page, 'left at the others', HEAL_MS)
    await says(b, a, 'found without the server of the app')
    await expect.poll(() => pathShown(a.page), { timeout: HEAL_MS }).toBe('direct')

    await Promise.all(relays.slice(1).map((relay) => relay.stop('SIGKILL')))
    await expect.poll(() => words(a)).toBe('No relay')
    await says(a, b, 'all are dead')
    await says(b, a, 'and we talk')

    await b.page.close()
    sent.push('while nobody is there')
    await send(a.page, 'while nobody is there')
    await expect.poll(() => delivery(a, 'while nobody is there')).toBe('on this device')
    b.page = (await openApp(b.context, relays[0]?.address ?? '')).page
    await openRoom(b.page, ROOM)
    await expect.poll(() => words(b)).toBe('Offline')
    sent.push('from the other side')
    await send(b.page, 'from the other side')
    await expect.poll(() => delivery(b, 'from the other side')).toBe('on this device')

    const [, , last] = places
    if (last !== undefined) relays[2] = await startAt(last)
    await shown(b.page, 'while nobody is there', HEAL_MS)
    await shown(a.page, 'from the other side', HEAL_MS)
    await expect.poll(() => delivery(a, 'while nobody is there')).toBe('delivered')
    await expect.poll(() => delivery(b, 'from the other side')).toBe('delivered')
    await says(a, b, 'healed')
    for (const { page } of [a, b])
      await expect
        .poll(async () => (await timeline(page)).map(({ text }) => text).toSorted())
        .toEqual(sent.toSorted())
  })
})
