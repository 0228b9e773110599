/** Speaks to the node's worker past the app, as an app would that does not know yet that it was replaced. */
import type { BrowserContext, Page } from 'playwright'
import type { WireRequest } from '../../apps/web/src/bridge/api.ts'

type Call = {
  readonly kind: string
  readonly id: number
  readonly name?: string
  readonly argument?: unknown
}

declare global {
  interface Window {
    plexusWorker?: { readonly worker: Worker; authorization: readonly (readonly [string, string])[] }
  }
}

/** Notes worker and access token of each page of this context. Before the first of them. */
export async function noteWorker(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    window.Worker = class extends Worker {
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options)
        window.plexusWorker = { worker: this, authorization: [] }
      }

      override postMessage(message: Call, options?: Transferable[] | StructuredSerializeOptions): void {
        const { headers } = (message.argument ?? {}) as Partial<WireRequest>
        const given = headers?.filter(([name]) => name.toLowerCase() === 'authorization') ?? []
        if (window.plexusWorker !== undefined && given.length > 0) window.plexusWorker.authorization = given
        super.postMessage(message, Array.isArray(options) ? { transfer: options } : options)
      }
    }
  })
}

const BUSY = 'busy until the cookie is there'
/** What a page can read of another tab without going back to its event loop. */
const COOKIE = 'plexus-late=go'
/** How long the page's thread goes on without looking at what else happened, while its worker runs. */
const DEAF_MS = 2_000

/**
 * Keeps the page's thread busy until `letGo`, then asks the worker for `count` events of `type` and stays busy: whatever
 * tells the page that it was replaced comes too late. Resolves when the page is busy and may be stopped, with how many
 * requests it will have made.
 */
export async function askOnceLetGo(
  page: Page,
  roomId: string,
  type: string,
  count: number,
): Promise<{ readonly made: Promise<number> }> {
  const busy = page.waitForEvent('console', (message) => message.text() === BUSY)
  const made = page.evaluate(
    ([room, eventType, most, cookie, deaf, said]) => {
      const { worker, authorization = [] } = window.plexusWorker ?? {}
      if (worker === undefined || authorization.length === 0) throw new Error('the worker was not seen')
      console.log(said)
      while (!document.cookie.includes(cookie));
      for (let index = 0; index < most; index += 1) {
        const path = `/_matrix/client/v3/rooms/${encodeURIComponent(room)}/send/${eventType}/late${index}`
        const argument: WireRequest = { method: 'PUT', path, headers: authorization, body: '{}' }
        worker.postMessage({ kind: 'call', id: 1_000_000_000 + index, name: 'fetch', argument }, [])
      }
      for (const end = performance.now() + deaf; performance.now() < end;);
      return most
    },
    [roomId, type, count, COOKIE, DEAF_MS, BUSY] as const,
  )
  await Promise.race([busy, made])
  return { made }
}

/** Called in another tab of the same origin. */
export async function letGo(other: Page): Promise<void> {
  await other.evaluate((cookie) => {
    document.cookie = cookie
  }, COOKIE)
}
