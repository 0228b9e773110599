import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { browserPlatform } from './browser.ts'

/** What the page's global objects tell: a document that says whether it is seen. */
const page = Object.assign(new EventTarget(), { visibilityState: 'visible' })
const view = new EventTarget()
const network = { onLine: true }

beforeEach(() => {
  vi.stubGlobal('document', page)
  vi.stubGlobal('window', view)
  vi.stubGlobal('navigator', network)
})
afterEach(() => {
  vi.unstubAllGlobals()
})

it('wakes when the network comes or goes, the page is shown, or it thaws', () => {
  let wakes = 0
  const stop = browserPlatform().onWake(() => (wakes += 1))
  const happens = (target: EventTarget, type: string): number => {
    target.dispatchEvent(new Event(type))
    return wakes
  }
  expect(['online', 'offline', 'pageshow'].map((type) => happens(view, type))).toEqual([1, 2, 3])
  expect(happens(page, 'resume')).toBe(4)
  expect(happens(page, 'visibilitychange')).toBe(5)
  page.visibilityState = 'hidden'
  expect(happens(page, 'visibilitychange')).toBe(5)
  page.visibilityState = 'visible'
  stop()
  for (const type of ['online', 'offline', 'pageshow']) happens(view, type)
  expect([happens(page, 'resume'), happens(page, 'visibilitychange')]).toEqual([5, 5])
})

it('says what the browser is certain of: that there is no network', () => {
  const platform = browserPlatform()
  expect(platform.online()).toBe(true)
  network.onLine = false
  expect(platform.online()).toBe(false)
  network.onLine = true
})
