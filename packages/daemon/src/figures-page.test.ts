import { describe, expect, it } from 'vitest'
import { createFiguresPage, MAX_SAMPLES, SAMPLE_MS } from './figures-page.ts'

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function start(read: () => number | Promise<number>, help = 'Mails') {
  let now = 1_000
  let due: (() => void) | undefined
  const clock = {
    now: () => now,
    after(_ms: number, run: () => void) {
      due = run
      return () => void (due = undefined)
    },
  }
  const page = createFiguresPage({ clock, title: 'A relay', figures: [{ help, read }] })
  const pass = async (): Promise<void> => {
    await settle()
    now += SAMPLE_MS
    due?.()
    await settle()
  }
  return { page, pass, isWaiting: () => due !== undefined }
}

const points = (html: string): string[] => (/points="([^"]*)"/.exec(html)?.[1] ?? '').split(' ')

describe("the operator's page", () => {
  it('shows a figure as it is, and how it went', async () => {
    let value = 0
    const { page, pass } = start(() => value)
    for (value of [5, 10]) await pass()
    value = 1_234
    const html = await page.render()
    expect(html).toContain('<title>A relay</title>')
    expect(html).toContain('<p>1,234</p>')
    expect(html).toContain('aria-label="Mails: now 1,234, from 0 to 10 in the plot"')
    expect(points(html)).toEqual(['0.0,63.0', '240.0,32.0', '480.0,1.0'])
  })

  it('keeps a day, of which it draws a bounded number of points', async () => {
    let value = 0
    const { page, pass } = start(() => (value += 1))
    for (let minutes = 0; minutes < MAX_SAMPLES + 100; minutes += 1) await pass()
    const html = await page.render()
    expect(html).toContain(`from 102 to ${new Intl.NumberFormat('en').format(MAX_SAMPLES + 101)} in the plot`)
    expect(points(html)).toHaveLength(240)
  })

  it('leaves out what cannot be read, goes on, and ends', async () => {
    let isBroken = true
    const { page, pass, isWaiting } = start(() => (isBroken ? Promise.reject(new Error('no disk')) : 7))
    await pass()
    isBroken = false
    await pass()
    expect(points(await page.render())).toHaveLength(1)
    page[Symbol.dispose]()
    await settle()
    expect(isWaiting()).toBe(false)
  })

  it('takes no markup from the words of a figure', async () => {
    const { page } = start(() => 1, '<b>"a" & b</b>')
    expect(await page.render()).toContain('<h2>&lt;b&gt;&quot;a&quot; &amp; b&lt;/b&gt;</h2>')
  })
})
