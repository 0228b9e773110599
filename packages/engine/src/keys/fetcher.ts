/**
 * Fetching key documents: one fetch per server at a time, few at once, and with pauses after failures. Fetches are made
 * on demand only, so that a server of which nobody wants anything costs nothing.
 */
import type { ServerName } from '@plexus/core'
import { backoffMs } from '../kernel/backoff.ts'
import { createLru } from '../kernel/lru.ts'
import type { Clock, Log, Random } from '../ports.ts'

/** Servers asked at once for events, and as many more for strangers. */
export const MAX_KEY_FETCHES = 16
/** Servers that wait to be asked; others count as not reachable. */
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

export interface KeyFetcher {
  /** Resolves when the server's keys came and are kept, or did not come. Never rejects. */
  fetch(server: ServerName, forStranger?: boolean): Promise<void>
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
  const lanes = {
    events: createLane(MAX_WAITING_KEY_FETCHES),
    // What strangers cause does not keep the keys of members waiting.
    strangers: createLane(MAX_WAITING_FOR_STRANGERS),
  }

  const isResting = (server: ServerName): boolean => (rests.get(server)?.until ?? 0) > clock.now()

  const askOnce = async (server: ServerName): Promise<void> => {
    try {
      await ask(server)
      rests.set(server, { failures: 0, until: clock.now() + MIN_KEY_REFETCH_MS })
    } catch (error) {
      const failures = (rests.get(server)?.failures ?? 0) + 1
      const pause = backoffMs(random, failures, FIRST_KEY_RETRY_MS, LAST_KEY_RETRY_MS)
      rests.set(server, { failures, until: clock.now() + pause })
      log.log('info', 'the keys of a server cannot be had', { server, error: String(error) })
    } finally {
      asking.delete(server)
    }
  }

  const run = async (server: ServerName, lane: Lane): Promise<void> => {
    await lane.start()
    try {
      // Somebody in the other lane may have come first.
      const known = asking.get(server) ?? (isResting(server) ? undefined : askOnce(server))
      if (known !== undefined) asking.set(server, known)
      await known
    } finally {
      lane.underWay.delete(server)
      lane.end()
    }
  }

  return {
    async fetch(server, forStranger = false) {
      const lane = forStranger ? lanes.strangers : lanes.events
      const known = asking.get(server) ?? lane.underWay.get(server)
      if (known === undefined && (isResting(server) || lane.isFull)) return
      const fetching = known ?? run(server, lane)
      if (known === undefined) lane.underWay.set(server, fetching)
      await fetching
    },
    async idle() {
      const running = (): Promise<void>[] =>
        Object.values(lanes).flatMap(({ underWay }) => [...underWay.values()])
      while (running().length > 0) await Promise.all(running())
    },
  }
}

/** Lets a few through at a time, in order. */
type Lane = {
  /** Those that wait and those that are asked. */
  readonly underWay: Map<ServerName, Promise<void>>
  readonly isFull: boolean
  start(): Promise<void>
  end(): void
}

function createLane(maxWaiting: number): Lane {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    underWay: new Map(),
    get isFull() {
      return waiting.length >= maxWaiting
    },
    async start() {
      if (running < MAX_KEY_FETCHES) running += 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
    },
    end() {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      // The place is handed on.
      else next()
    },
  }
}
