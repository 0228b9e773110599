import type { Clock, Log } from '@plexus/engine/ports'
import type { Published } from '@plexus/p2p/wire'
import {
  DHT_PUT_MS,
  ENOUGH_COPIES,
  MAX_PARALLEL_PUTS,
  MAX_WAITING_PUTS,
  REPUBLISH_CHECK_MS,
  REPUBLISH_MS,
} from './limits.ts'
import type { Records } from './records.ts'

export type PublisherDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly records: Pick<Records, 'own' | 'get'>
  /** Other servers that there are to put records to. */
  servers(): number
  /** Puts a record into the DHT: something for each server that took it, when it did. */
  put(published: Published, signal: AbortSignal): AsyncIterable<unknown>
}

/**
 * Puts the records of this relay's nodes into the DHT, when they come and every 12 hours while their owners sleep; sooner,
 * ever more seldom, while too few servers took one.
 */
export interface Publisher extends AsyncDisposable {
  /** The record is new: it is put soon. */
  publish(published: Published): void
}

export function createPublisher(deps: PublisherDeps): Publisher {
  const { clock, log, records } = deps
  const stop = new AbortController()
  /** Keys to put, in turn, and those that are being put. */
  const waiting = new Set<string>()
  const running = new Map<string, Promise<void>>()
  /** When each key is to be put again, after how long since it was put, and as soon as more servers are known than these. */
  const next = new Map<string, { readonly at: number; readonly afterMs: number; readonly known: number }>()

  function nextAfter(key: string, taken: number, known: number): number {
    if (taken > 0 && taken >= Math.min(ENOUGH_COPIES, known)) return REPUBLISH_MS
    const before = next.get(key)?.afterMs ?? REPUBLISH_MS
    return before < REPUBLISH_MS ? Math.min(REPUBLISH_MS, 2 * before) : REPUBLISH_CHECK_MS
  }

  async function put(key: string): Promise<void> {
    const published = records.get(key)
    if (published === undefined) return
    const servers = deps.servers()
    let taken = 0
    try {
      const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(DHT_PUT_MS)])
      for await (const _ of deps.put(published, signal)) taken += 1
    } catch (error) {
      log.log('debug', 'a record was not put into the DHT', { taken, error: String(error) })
    }
    // A newer one is due at once.
    if (records.get(key) !== published) return
    const afterMs = nextAfter(key, taken, servers)
    const known = taken >= ENOUGH_COPIES ? Number.POSITIVE_INFINITY : servers
    next.set(key, { at: clock.now() + afterMs, afterMs, known })
  }

  function work(): void {
    for (const key of waiting) {
      if (running.size >= MAX_PARALLEL_PUTS || stop.signal.aborted) return
      // A newer record of a key waits for the one before.
      if (running.has(key)) continue
      waiting.delete(key)
      const end = (): void => {
        running.delete(key)
        work()
      }
      running.set(key, put(key).finally(end))
    }
  }

  function look(): void {
    cancel = clock.after(REPUBLISH_CHECK_MS, look)
    const servers = deps.servers()
    if (servers === 0) return
    const now = clock.now()
    const present = new Set<string>()
    for (const { key } of records.own()) {
      present.add(key)
      const { at, known } = next.get(key) ?? { at: now, known: 0 }
      const isDue = !running.has(key) && (at <= now || servers > known)
      if (isDue && waiting.size < MAX_WAITING_PUTS) waiting.add(key)
    }
    for (const key of next.keys()) if (!present.has(key)) next.delete(key)
    work()
  }

  let cancel = clock.after(REPUBLISH_CHECK_MS, look)

  return {
    publish({ key }) {
      next.delete(key)
      if (waiting.size < MAX_WAITING_PUTS) waiting.add(key)
      work()
    },
    async [Symbol.asyncDispose]() {
      cancel()
      waiting.clear()
      stop.abort()
      await Promise.all(running.values())
    },
  }
}
