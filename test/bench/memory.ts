/** What a page keeps in memory that shows a room of 1,000 messages. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Page } from 'playwright'
import { loadWhole, messageBox, messages } from '../kit/app.ts'
import { rendererOf } from '../kit/renderers.ts'
import { figure, type Figure } from './figures.ts'
import type { Section } from './section.ts'
import { createStage, twoPeople } from './stage.ts'
import { heapsOf } from './worker-heap.ts'

const MESSAGES = 1_000
/** For what is still under way when the last message is typed. */
const DELIVERY_LIMIT_MS = 120_000
const HEAP_AIM = [{ of: 'median', limit: 150 }] as const

export const memory: Section = {
  name: 'memory',
  async run({ quick, note }) {
    await using stage = await createStage()
    const [{ page: ada }, { page: ben }] = await twoPeople(stage)
    const count = quick ? 100 : MESSAGES
    const start = performance.now()
    const shown: number[] = []
    await Promise.all([write(ada, 'Ada', count / 2), write(ben, 'Ben', count / 2)])
    for (const page of [ada, ben]) {
      const last = messages(page).filter({ hasText: `number ${count / 2}.` })
      await last.and(page.locator('[data-delivery="delivered"]')).waitFor({ timeout: DELIVERY_LIMIT_MS })
      await loadWhole(page)
      shown.push(await messages(page).count())
    }
    const seconds = (performance.now() - start) / 1_000
    note(`${count} messages in ${seconds.toFixed(1)} s, on the screens ${shown.join(' and ')}`)
    const live = await measure([ada, ben], `a room of ${count} messages on the screen`)
    for (const page of [ada, ben]) {
      await page.reload()
      await messageBox(page).waitFor()
      await messages(page).first().waitFor()
    }
    return [
      figure({
        name: 'messages sent, both write as fast as they can',
        unit: '/s',
        values: [count / seconds],
        note: `until all were delivered; of ${count} the screens show ${shown.join(' and ')}`,
      }),
      ...live,
      ...(await measure([ada, ben], `a room of ${count} messages, opened again`)),
    ]
  },
}

/** Types faster than a person can, without waiting for what becomes of it. */
async function write(page: Page, name: string, count: number): Promise<void> {
  await messageBox(page).evaluate(
    async (box: HTMLTextAreaElement, { name, count }) => {
      for (let index = 1; index <= count; index += 1) {
        box.value = `${name} writes number ${index}.`
        box.dispatchEvent(new InputEvent('input', { bubbles: true }))
        await new Promise(requestAnimationFrame)
        box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }))
        await new Promise(requestAnimationFrame)
      }
    },
    { name, count },
  )
}

async function measure(pages: readonly Page[], what: string): Promise<readonly Figure[]> {
  const [heap, buffers, resident, own]: [number[], number[], number[], number[]] = [[], [], [], []]
  const megabytes = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / 1e6
  for (const page of pages) {
    const heaps = await heapsOf(page)
    if (heaps.length < 2) throw new Error('the page has no worker')
    heap.push(megabytes(heaps.map(({ usedSize }) => usedSize)))
    buffers.push(megabytes(heaps.map(({ backingStorageSize }) => backingStorageSize)))
    const memory = memoryOf(await rendererOf(page, []))
    resident.push(memory.resident / 1e6)
    if (memory.own !== undefined) own.push(memory.own / 1e6)
  }
  return [
    figure({
      name: `JS heap, ${what}`,
      unit: 'MB',
      values: heap,
      aims: HEAP_AIM,
      note: 'page and worker together, after collection',
    }),
    figure({ name: `buffers and WebAssembly, ${what}`, unit: 'MB', values: buffers }),
    figure({ name: `renderer resident, ${what}`, unit: 'MB', values: resident }),
    ...(own.length === 0 ? [] : [figure({ name: `renderer's own, ${what}`, unit: 'MB', values: own })]),
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
