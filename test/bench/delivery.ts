/** From a key press in one browser to the decrypted text on the screen of another, and what crosses the wire for it. */
import type { Page } from 'playwright'
import { connectionWords, message, messageBox } from '../kit/app.ts'
import { figure, type Figure } from './figures.ts'
import { withoutWebRtc } from './probe.ts'
import { channelRoundTrips } from './raw-channel.ts'
import { withLimit, type Section } from './section.ts'
import { createStage, twoPeople, type Person } from './stage.ts'
import { wireFigures } from './wire-bytes.ts'

const AIMS = [
  { of: 'median', limit: 40 },
  { of: 'p95', limit: 120 },
] as const
/** Of a figure of the delivery. */
const MESSAGES = 100
/** A message that takes longer does not come. */
const ARRIVAL_LIMIT_MS = 30_000

export const delivery: Section = {
  name: 'delivery',
  async run({ quick, note }) {
    await using stage = await createStage()
    const [ada, ben] = await twoPeople(stage)
    const count = quick ? 15 : MESSAGES
    await connected([ada, ben], 'Online')
    note('direct')
    const direct = await deliveries(ada, ben, 'direct', count)
    const figures: Figure[] = [
      figure({ name: 'key press to painted, direct', unit: 'ms', values: direct.painted, aims: AIMS }),
      figure({ name: 'key press to decrypted in the page, direct', unit: 'ms', values: direct.inserted }),
      ...(await wireFigures('direct', ada.page, ben.page, quick)),
      figure({
        name: 'baseline: round trip of 300 B on a raw RTCDataChannel',
        unit: 'ms',
        values: await channelRoundTrips(ada.context, ben.context, 200),
      }),
    ]
    note('relayed')
    for (const { context, page } of [ada, ben]) {
      await context.addInitScript(withoutWebRtc)
      await page.reload()
      await messageBox(page).waitFor()
    }
    await connected([ada, ben], 'Relayed')
    const relayed = await deliveries(ada, ben, 'relayed', count)
    return [
      ...figures,
      figure({ name: 'key press to painted, relayed', unit: 'ms', values: relayed.painted }),
      figure({ name: 'key press to decrypted in the page, relayed', unit: 'ms', values: relayed.inserted }),
      ...(await wireFigures('relayed', ada.page, ben.page, quick)),
    ]
  },
}

async function connected(people: readonly Person[], words: string): Promise<void> {
  for (const { page } of people) await connectionWords(page).filter({ hasText: words }).waitFor()
}

type Deliveries = { readonly painted: readonly number[]; readonly inserted: readonly number[] }

/** One message after the other, the next when the other side has read the last. */
async function deliveries(from: Person, to: Person, label: string, count: number): Promise<Deliveries> {
  const [painted, inserted]: [number[], number[]] = [[], []]
  const ahead = (await clockOf(from.page)) - (await clockOf(to.page))
  // The first carries the key of the room with it.
  for (let index = -3; index < count; index += 1) {
    const text = `${label} ${index + 3}`
    await messageBox(from.page).fill(text)
    const seen = to.page.evaluate((text) => window.plexusProbe.shown(text), text)
    // Answered after the one before: the other page is watching.
    await to.page.evaluate(() => 0)
    await messageBox(from.page).press('Enter')
    const there = await withLimit(seen, ARRIVAL_LIMIT_MS, text)
    const pressed = (await from.page.evaluate(() => window.plexusProbe.enter)) + ahead
    await read(from.page, text)
    if (index < 0) continue
    painted.push(there.painted - pressed)
    inserted.push(there.inserted - pressed)
  }
  return { painted, inserted }
}

/** Resolves when the page says that the other side has read the message. */
async function read(page: Page, text: string): Promise<void> {
  await message(page, text).last().getByText('read by').waitFor()
}

/** The zero of the page's `performance.now()`, in milliseconds of the one clock that all processes share. */
async function clockOf(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'timeTicks' })
  const { metrics } = await session.send('Performance.getMetrics')
  await session.detach()
  const start = metrics.find(({ name }) => name === 'NavigationStart')
  if (start === undefined) throw new Error('the browser does not say when the page began')
  return start.value * 1_000
}
