/** What a page keeps in memory that shows a room of 1,000 messages. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Page } from 'playwright'
import { loadWhole, makeRoom, messageBox, messages, openApp, signUp } from '../kit/app.ts'
import { rendererOf } from '../kit/renderers.ts'
import { figure, type Figure } from './figures.ts'
import { withLimit, type Section } from './section.ts'
import { createStage } from './stage.ts'
import { heapsOf } from './worker-heap.ts'

const MESSAGES = 1_000
/** Of these, so many are drawn while they are written. */
const SEEN = 60
/** Messages that are on their way at once: so many does somebody write who pastes and sends. */
const UNSENT = 4
const WRITE_LIMIT_MS = 400_000
const HEAP_AIM = [{ of: 'median', limit: 150 }] as const

export const memory: Section = {
  name: 'memory',
  async run({ quick, note }) {
    await using stage = await createStage()
    const { page } = await openApp(await stage.freshBrowser(), stage.address)
    await signUp(page, 'Ada')
    await makeRoom(page, 'Long')
    const count = quick ? 100 : MESSAGES
    const start = performance.now()
    await write(page, SEEN)
    const rate = (SEEN / (performance.now() - start)) * 1_000
    note(`${rate.toFixed(1)} messages a second`)
    // Drawing every one of the others would take most of the time.
    await hideTimeline(page, true)
    await write(page, count - SEEN)
    await hideTimeline(page, false)
    const live = await measure(page, `a room of ${count} messages`)
    await page.reload()
    await messageBox(page).waitFor()
    await loadWhole(page)
    const shown = await messages(page).count()
    if (shown !== count) throw new Error(`${shown} messages of ${count} are shown`)
    return [
      figure({
        name: 'messages written one after the other',
        unit: '/s',
        values: [rate],
        note: `the first ${SEEN}: typed, encrypted, on disk and drawn, alone in the room`,
      }),
      ...live,
      ...(await measure(page, `the same, opened again and read to its beginning`)),
    ]
  },
}

/** Types and sends as fast as the page takes it; resolves when the node has all. */
async function write(page: Page, count: number): Promise<void> {
  const written = messageBox(page).evaluate(
    async (box: HTMLTextAreaElement, { count, unsent }) => {
      const frame = (): Promise<number> => new Promise(requestAnimationFrame)
      const underWay = (): number => document.querySelectorAll('article:not([data-event-id^="$"])').length
      for (let index = 1; index <= count; index += 1) {
        box.value = `Ada writes message number ${index}.`
        box.dispatchEvent(new InputEvent('input', { bubbles: true }))
        await frame()
        box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }))
        await frame()
        while (underWay() > (index === count ? 0 : unsent)) await frame()
      }
    },
    { count, unsent: UNSENT },
  )
  await withLimit(written, WRITE_LIMIT_MS, `writing ${count} messages`)
}

/** The policy of the page allows style sheets that a script makes. */
async function hideTimeline(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate(
    (css) => {
      const sheet = new CSSStyleSheet()
      sheet.replaceSync(css)
      document.adoptedStyleSheets = [sheet]
    },
    hidden ? 'article { display: none !important }' : '',
  )
}

async function measure(page: Page, what: string): Promise<readonly Figure[]> {
  const heaps = await heapsOf(page)
  if (heaps.length < 2) throw new Error('the page has no worker')
  const megabytes = (bytes: readonly number[]): number[] => [bytes.reduce((sum, each) => sum + each, 0) / 1e6]
  const { resident, own } = memoryOf(await rendererOf(page, []))
  return [
    figure({
      name: `JS heap, ${what}`,
      unit: 'MB',
      values: megabytes(heaps.map(({ usedSize }) => usedSize)),
      aims: HEAP_AIM,
      note: `page and worker together, after collection: ${heaps.map(({ usedSize }) => Math.round(usedSize / 1e6)).join(' + ')} MB`,
    }),
    figure({
      name: `buffers and WebAssembly, ${what}`,
      unit: 'MB',
      values: megabytes(heaps.map(({ backingStorageSize }) => backingStorageSize)),
    }),
    figure({ name: `renderer resident, ${what}`, unit: 'MB', values: megabytes([resident]) }),
    ...(own === undefined
      ? []
      : [figure({ name: `renderer's own, ${what}`, unit: 'MB', values: megabytes([own]) })]),
  ]
}

/** Bytes of a process: all that is resident, and of that what it shares with nobody, where the system says so. */
function memoryOf(pid: number): { readonly resident: number; readonly own?: number } {
  const path = `/proc/${pid}/smaps_rollup`
  if (!existsSync(path)) {
    const kilobytes = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })
    return { resident: Number(kilobytes) * 1_024 }
  }
  const text = readFileSync(path, 'utf8')
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) * 1_024
  return { resident: bytes('Rss'), own: bytes('Private_Clean') + bytes('Private_Dirty') }
}
