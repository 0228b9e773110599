import type { Clock, Log } from '@plexus/engine/ports'
import type { Published } from '@plexus/p2p/wire'
import {
  DHT_PUT_MS,
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
  /** There is anybody to put records to. */
  ready(): boolean
  /** Puts a record into the DHT; answers how many servers took it. */
  put(published: Published, signal: AbortSignal): Promise<number>
}

/** Puts the records of this relay's nodes into the DHT, when they come and every 12 hours while their owners sleep. */
export interface Publisher extends AsyncDisposable {
  /** The record is new: it is put soon. */
  publish(published: Published): void
}

export function createPublisher(deps: PublisherDeps): Publisher {
  const { clock, log, records } = deps
  const stop = new AbortController()
  /** Keys to put, in turn. */
  const waiting = new Set<string>()
  const running = new Set<Promise<void>>()
  /** When each key was last put where somebody took it. */
  const puts = new Map<string, number>()

  async function put(key: string): Promise<void> {
    const published = records.get(key)
    if (published === undefined) return
    try {
      const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(DHT_PUT_MS)])
      if ((await deps.put(published, signal)) > 0) puts.set(key, clock.now())
    } catch (error) {
      log.log('debug', 'a record was not put into the DHT', { error: String(error) })
    }
  }

  function next(): void {
    for (const key of waiting) {
      if (running.size >= MAX_PARALLEL_PUTS || stop.signal.aborted) return
      waiting.delete(key)
      const one = put(key).finally(() => {
        running.delete(one)
        next()
      })
      running.add(one)
    }
  }

  function look(): void {
    cancel = clock.after(REPUBLISH_CHECK_MS, look)
    if (!deps.ready()) return
    const due = clock.now() - REPUBLISH_MS
    const present = new Set<string>()
    for (const { key } of records.own()) {
      present.add(key)
      if ((puts.get(key) ?? Number.NEGATIVE_INFINITY) <= due && waiting.size < MAX_WAITING_PUTS)
        waiting.add(key)
    }
    for (const key of puts.keys()) if (!present.has(key)) puts.delete(key)
    next()
  }

  let cancel = clock.after(REPUBLISH_CHECK_MS, look)

  return {
    publish({ key }) {
      puts.delete(key)
      if (waiting.size < MAX_WAITING_PUTS) waiting.add(key)
      next()
    },
    async [Symbol.asyncDispose]() {
      cancel()
      waiting.clear()
      stop.abort()
      await Promise.all(running)
    },
  }
}
