/** What a first visit downloads until the app is usable, as the relay serves it. */
import { openApp, signUp } from '../kit/app.ts'
import { startCountingProxy, type Download } from './counting-proxy.ts'
import { figure } from './figures.ts'
import type { Section } from './section.ts'
import { createStage } from './stage.ts'

/** The crypto module, what JavaScript it comes with, and what of matrix-js-sdk exists for it alone. */
const CRYPTO = /crypto[-_]wasm|rust-crypto/
/** The largest files, told by name. */
const SHOWN = 12

export const loadBytes: Section = {
  name: 'load',
  async run({ note }) {
    await using stage = await createStage()
    // The service worker fetches everything once more, from the browser's cache; here there is none.
    const context = await stage.freshBrowser({ serviceWorkers: 'block' })
    await using proxy = await startCountingProxy(stage.address)
    const { page } = await openApp(context, proxy.address)
    await signUp(page, '')
    const downloads = [...proxy.downloads]
    await context.close()
    for (const { path, bytes } of downloads.toSorted((a, b) => b.bytes - a.bytes).slice(0, SHOWN))
      note(`${String(Math.round(bytes / 1_000)).padStart(5)} kB ${path}`)
    const kilobytes = (counted: readonly Download[]): number =>
      counted.reduce((sum, { bytes }) => sum + bytes, 0) / 1_000
    const before = downloads.filter(({ path }) => !CRYPTO.test(path))
    if (before.length === downloads.length) throw new Error('no crypto module was downloaded')
    return [
      figure({
        name: 'cold load without crypto',
        unit: 'kB',
        values: [kilobytes(before)],
        aims: [{ of: 'median', limit: 450 }],
        note: `${before.length} files, compressed, with their headers`,
      }),
      figure({
        name: 'cold load with crypto, up to usable',
        unit: 'kB',
        values: [kilobytes(downloads)],
        aims: [{ of: 'median', limit: 2_100 }],
        note: `${downloads.length} files, compressed, with their headers`,
      }),
    ]
  },
}
