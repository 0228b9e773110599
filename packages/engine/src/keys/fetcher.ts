/**
 * Fetching key documents: one fetch per server at a time, few at once, and with pauses after failures. Fetches are made
 * on demand only, so that a server of which nobody wants anything costs nothing.
 */
import type { ServerName } from '@plexus/core'
import { backoffMs } from '../kernel/backoff.ts'
import { createLru } from '../kernel/lru.ts'
import type { Clock, Log, Random } from '../ports.ts'
import { createLane, type Lane } from './lane.ts'
import type { LookupOptions } from './types.ts'
import { createSteady } from '../kernel/steady.ts'

/** Servers asked at once for events, and as many more for strangers. */
export const MAX_KEY_FETCHES = 16
/** The same for what one server brought: what it names may be silent servers of its own, and others have their turn. */
export const MAX_KEY_FETCHES_FOR_ONE = 12
/** Servers that wait to be asked. Beyond that the longest queue gives way; what leaves it counts as not reachable. */
export const MAX_WAITING_KEY_FETCHES = 8_192
/** The same of those that anybody can have this node ask, by a request in their name. */
export const MAX_WAITING_FOR_STRANGERS = 256
/** Servers remembered because they could not be asked. */
export const MAX_FAILING_SERVERS = 4_096
/** Pauses after failures. The last one is short, since an event or request must cause each attempt. */
export const FIRST_KEY_RETRY_MS = 1_000
export const LAST_KEY_RETRY_MS = 60_000
/** A server whose keys came is left alone for this long. */
export const MIN_KEY_REFETCH_MS = 60_000

/** For whom keys are fetched: see `LookupOptions`. */
export type KeyFetchOptions = Pick<LookupOptions, 'broughtBy' | 'forStranger'>

export interface KeyFetcher {
  /** Resolves when the server's keys came and are kept, or did not come. Never rejects. */
  fetch(server: ServerName, options?: KeyFetchOptions): Promise<void>
  idle(): Promise<void>
}

type Deps = { readonly clock: Clock; readonly random: Random; readonly log: Log }

/** `ask` fetches, checks and keeps; it throws where that fails. */
export function createKeyFetcher(
  { clock, random, log }: Deps,
  ask: (server: ServerName) => Promise<void>,
): KeyFetcher {
  const asking = new Map<ServerName, Promise<void>>()
  const rests = createLru<ServerName, { readonly failures: number; readonly until: number }>(
    MAX_FAILING_SERVERS,
  )
  const laneOf = (maxWaiting: number): { lane: Lane; underWay: Map<string, Promise<void>> } => ({
    lane: createLane({ maxRunning: MAX_KEY_FETCHES, maxForOne: MAX_KEY_FETCHES_FOR_ONE, maxWaiting }),
    underWay: new Map(),
  })
  const lanes = {
    events: laneOf(MAX_WAITING_KEY_FETCHES),
    // What strangers cause does not keep the keys of members waiting.
    strangers: laneOf(MAX_WAITING_FOR_STRANGERS),
  }

  const steady = createSteady(clock)
  const isResting = (server: ServerName): boolean => (rests.get(server)?.until ?? 0) > steady()

  const askOnce = async (server: ServerName): Promise<void> => {
    try {
      await ask(server)
      rests.set(server, { failures: 0, until: steady() + MIN_KEY_REFETCH_MS })
    } catch (error) {
      const failures = (rests.get(server)?.failures ?? 0) + 1
      const pause = backoffMs(random, failures, FIRST_KEY_RETRY_MS, LAST_KEY_RETRY_MS)
      rests.set(server, { failures, until: steady() + pause })
      log.log('info', 'the keys of a server cannot be had', { server, error: String(error) })
    } finally {
      asking.delete(server)
    }
  }

  const run = async (server: ServerName, lane: Lane, by: string): Promise<void> => {
    if (!(await lane.start(by))) return
    try {
      // Somebody in another queue may have come first.
      const known = asking.get(server) ?? (isResting(server) ? undefined : askOnce(server))
      if (known !== undefined) asking.set(server, known)
      await known
    } finally {
      lane.end(by)
    }
  }

  return {
    async fetch(server, { broughtBy: by = '', forStranger = false } = {}) {
      const { lane, underWay } = forStranger ? lanes.strangers : lanes.events
      // What waits in the queue of one server keeps nobody else waiting.
      const key = `${by} ${server}`
      const known = asking.get(server) ?? underWay.get(key)
      if (known === undefined && isResting(server)) return
      const fetching = known ?? run(server, lane, by).finally(() => underWay.delete(key))
      if (known === undefined) underWay.set(key, fetching)
      await fetching
    },
    async idle() {
      const running = (): Promise<void>[] =>
        Object.values(lanes).flatMap(({ underWay }) => [...underWay.values()])
      while (running().length > 0) await Promise.all(running())
    },
  }
}
