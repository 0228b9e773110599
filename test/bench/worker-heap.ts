/** The JavaScript heaps of a page and of its worker. */
import type { CDPSession, Page } from 'playwright'

export type HeapUse = {
  readonly usedSize: number
  /** Memory of array buffers and WebAssembly. */
  readonly backingStorageSize: number
}

type Send = (method: string) => Promise<unknown>

/** Heaps in bytes after a collection: of the page, then of each of its workers. */
export async function heapsOf(page: Page): Promise<readonly HeapUse[]> {
  const session = await page.context().newCDPSession(page)
  const workers = await workersOf(session)
  const heaps: HeapUse[] = []
  const ofPage: Send = (method) => session.send(method as 'Runtime.getHeapUsage')
  for (const send of [ofPage, ...workers]) {
    // Finalisers of what the first collection found free more.
    for (let times = 0; times < 3; times += 1) await send('HeapProfiler.collectGarbage')
    heaps.push((await send('Runtime.getHeapUsage')) as HeapUse)
  }
  await session.detach()
  return heaps
}

/** Playwright has no sessions for workers, so calls are wrapped into the page's. */
async function workersOf(session: CDPSession): Promise<readonly Send[]> {
  const attached: string[] = []
  session.on('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
    if (targetInfo.type === 'worker') attached.push(sessionId)
  })
  await session.send('Target.setAutoAttach', {
    autoAttach: true,
    waitForDebuggerOnStart: false,
    flatten: false,
  })
  return attached.map((sessionId) => {
    let lastId = 0
    return async (method) => {
      lastId += 1
      const id = lastId
      const { promise, resolve } = Promise.withResolvers<unknown>()
      const listen = (event: { readonly sessionId: string; readonly message: string }): void => {
        const answer = JSON.parse(event.message) as { readonly id?: number; readonly result?: unknown }
        if (event.sessionId !== sessionId || answer.id !== id) return
        session.off('Target.receivedMessageFromTarget', listen)
        resolve(answer.result)
      }
      session.on('Target.receivedMessageFromTarget', listen)
      await session.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id, method }) })
      return promise
    }
  })
}
