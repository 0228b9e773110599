/** A page for tests of the browser stores. */
import type { Store, StoreError } from '@plexus/engine/ports'
import { openIdbStore } from '@plexus/store/idb'
import type { Report } from './store-worker.ts'

declare global {
  interface Window {
    /** Given by the test: what the worker says. */
    report: (report: Report) => Promise<void>
  }
}

const stores: Store[] = []

/** Characters that do not compress, so that a quota is felt. */
function noise(length: number): string {
  const bytes = new Uint8Array(65_536)
  let text = ''
  while (text.length < length) {
    crypto.getRandomValues(bytes)
    text += String.fromCharCode(...bytes.map((byte) => 32 + (byte % 95)))
  }
  return text.slice(0, length)
}

const plexusTest = {
  startLoad(): void {
    const worker = new Worker(new URL('store-worker.ts', import.meta.url), { type: 'module' })
    worker.addEventListener('message', ({ data }: MessageEvent<Report>) => void window.report(data))
    worker.addEventListener('error', (event) => void window.report({ kind: 'failed', error: event.message }))
  },
  /** Opens the store of this origin; the answer is its number here. */
  async open(): Promise<number> {
    return stores.push(await openIdbStore('plexus')) - 1
  },
  /** Puts one value; the answer is 'ok' or the code of the StoreError. */
  async put(store: number, key: string, value: string): Promise<string> {
    try {
      await stores[store]?.commit([{ map: 'map', key, value }], 'strict')
      return 'ok'
    } catch (cause) {
      return (cause as StoreError).code
    }
  },
  putNoise: (store: number, key: string, length: number): Promise<string> =>
    plexusTest.put(store, key, noise(length)),
  async get(store: number, key: string): Promise<string | undefined> {
    return stores[store]?.get('map', key)
  },
}

export type TestPage = typeof plexusTest

window.plexusTest = plexusTest
