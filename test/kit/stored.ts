/** Reads the node's store in a browser as a forensic would: its IndexedDB database, past all code of the app. */
import type { Page } from 'playwright'

/** What of an event's record the tests look at. */
export type StoredEvent = {
  readonly id: string
  readonly roomId: string
  readonly verdict: string
  readonly order?: number
  readonly pdu: {
    readonly type: string
    readonly sender: string
    readonly prev_events: readonly string[]
    readonly content: Readonly<Record<string, unknown>>
  }
}

/** Values of the store whose physical key begins with `prefix`, in key order. */
async function values(page: Page, prefix: string): Promise<readonly string[]> {
  return page.evaluate(async (from) => {
    const settled = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.addEventListener('success', () => resolve(request.result))
        request.addEventListener('error', () => reject(new Error(String(request.error))))
      })
    const database = await settled(indexedDB.open('plexus'))
    try {
      const objects = database.transaction('kv').objectStore('kv')
      return (await settled(objects.getAll(IDBKeyRange.bound(from, `${from}\u00ff`)))) as string[]
    } finally {
      database.close()
    }
  }, prefix)
}

/** All events of a room that the node keeps, its state and rejected ones included. */
export async function storedEvents(page: Page, roomId: string): Promise<readonly StoredEvent[]> {
  const records = (await values(page, 'event\u0001')).map((text) => JSON.parse(text) as StoredEvent)
  return records.filter((record) => record.roomId === roomId)
}

/** The ids of the room's timeline in the order in which clients get them. */
export async function storedTimeline(page: Page, roomId: string): Promise<readonly string[]> {
  const ids = await values(page, `timeline\u0001${roomId}\u0001`)
  return ids.map((text) => JSON.parse(text) as string)
}

/** Everything in the node's store, for looking for what must not be there. */
export async function storedText(page: Page): Promise<string> {
  return (await values(page, '')).join('\n')
}
