/** Three browsers in one room: order by ancestry on every screen, and a catch-up that misses and doubles nothing. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  accept,
  inviteLink,
  loadWhole,
  makeRoom,
  members,
  openApp,
  openBrowser,
  openRoom,
  send,
  signUp,
  timeline,
} from '../kit/app.ts'
import { type RelayProcess, startRelay } from '../kit/relay-process.ts'
import { storedEvents, storedTimeline } from '../kit/stored.ts'

const ROOM = 'Three of us'
const NAMES = ['ada', 'ben', 'cleo'] as const
/** Messages that each sends at the same time as the others. */
const BURST = 6
const SPREAD_MS = 40_000
const SETUP_MS = 120_000

type Person = { readonly name: string; readonly context: BrowserContext; page: Page }

const folder = await mkdtemp(join(tmpdir(), 'plexus-three-'))
let relay: RelayProcess
const people: Person[] = []
let roomId = ''
const sent: string[] = []

/** Everybody writes at once, so that the graph of events forks. */
async function burst(writers: readonly Person[], label: string): Promise<void> {
  await Promise.all(
    writers.map(async ({ name, page }) => {
      for (let index = 0; index < BURST; index += 1) {
        const text = `${label} ${index} by ${name}`
        sent.push(text)
        await send(page, text)
      }
    }),
  )
}

/** Waits until each shows exactly what was sent, each text once. */
async function converged(readers: readonly Person[]): Promise<void> {
  for (const { page } of readers) {
    await expect
      .poll(async () => (await timeline(page)).map(({ text }) => text).toSorted(), { timeout: SPREAD_MS })
      .toEqual(sent.toSorted())
  }
}

/** Pairs of an event and one of its ancestors, of those in `order`, that stand the wrong way round. */
function inversions(
  order: readonly string[],
  parents: ReadonlyMap<string, readonly string[]>,
): readonly (readonly [event: string, ancestor: string])[] {
  const place = new Map(order.map((id, index) => [id, index]))
  return order.flatMap((id, index) => {
    const ancestors = new Set<string>()
    const queue = [...(parents.get(id) ?? [])]
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (ancestors.has(next)) continue
      ancestors.add(next)
      queue.push(...(parents.get(next) ?? []))
    }
    return [...ancestors].flatMap((each) => ((place.get(each) ?? -1) > index ? [[id, each] as const] : []))
  })
}

async function checkOrder({ page }: Person): Promise<{ forks: number }> {
  const events = await storedEvents(page, roomId)
  const parents = new Map(events.map(({ id, pdu }) => [id, pdu.prev_events]))
  const stored = await storedTimeline(page, roomId)
  expect(new Set(stored).size).toBe(stored.length)
  expect(inversions(stored, parents)).toEqual([])
  const onScreen = (await timeline(page)).map(({ eventId }) => eventId)
  expect(onScreen.filter((id) => !parents.has(id))).toEqual([])
  expect(inversions(onScreen, parents)).toEqual([])
  return { forks: events.filter(({ pdu }) => pdu.prev_events.length > 1).length }
}

beforeAll(async () => {
  relay = await startRelay({ data: join(folder, 'relay') })
  for (const name of NAMES) {
    const context = await openBrowser({ profile: join(folder, name) })
    people.push({ name, context, page: context.pages()[0] ?? (await context.newPage()) })
  }
  const [ada, ...others] = people
  if (ada === undefined) throw new Error('nobody came')
  ada.page = (await openApp(ada.context, relay.address)).page
  await signUp(ada.page, ada.name)
  roomId = await makeRoom(ada.page, ROOM)
  for (const person of others) {
    // A new person begins at the link.
    person.page = (await openApp(person.context, await inviteLink(ada.page))).page
    await signUp(person.page, person.name)
    await accept(person.page)
  }
  // Nobody is sent the key of a message who is not a member for its sender yet.
  for (const { page } of people) await members(page, people.length)
}, SETUP_MS)

afterAll(async () => {
  await Promise.all(people.map(({ context }) => context.close()))
  await relay?.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

describe('three people in one room', () => {
  it('write at once and read everything after what it answers', async () => {
    await burst(people, 'all')
    await converged(people)
    const orders = await Promise.all(people.map(checkOrder))
    // Without a fork there would be only one order to find.
    expect(Math.max(...orders.map(({ forks }) => forks))).toBeGreaterThan(0)
  })

  it('go on when one is away, who misses and doubles nothing', async () => {
    const away = people[2]
    const rest = people.slice(0, 2)
    if (away === undefined) throw new Error('nobody is away')
    const before = [...sent]
    await away.page.close()
    await burst(rest, 'without cleo')
    await converged(rest)

    away.page = (await openApp(away.context, relay.address)).page
    await openRoom(away.page, ROOM)
    await expect
      .poll(async () => (await timeline(away.page)).at(-1)?.text ?? '', { timeout: SPREAD_MS })
      .toMatch(/^without cleo/)
    await loadWhole(away.page)
    expect(before.length).toBeGreaterThan(0)
    await burst(people, 'together')
    await converged(people)
    for (const person of people) await checkOrder(person)
  })
})
