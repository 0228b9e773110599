import type { ServerName } from '@plexus/core'
import type { Clock, Random } from '@plexus/engine/ports'
import { createBackoff } from './backoff.ts'
import type { ConnectResult } from './dialer.ts'
import type { LinkTable } from './link-table.ts'

/** Milliseconds between attempts to reach a wanted peer: first and longest ceiling. */
const PEER_BACKOFF = { firstMs: 1_000, maxMs: 120_000 } as const
/** Milliseconds between kicks that count: a relay cannot make us dial faster. */
const MIN_KICK_MS = 500
/** Of two peers that see each other appear, the one with the higher peer id waits so long before it dials. */
export const YIELD_MS = 400
/** A connection that lasted so many milliseconds was one: the next attempt after its end is made at once. */
const LASTING_MS = 10_000

export type PeerKeeperDeps = {
  readonly clock: Clock
  readonly random: Random
  readonly table: LinkTable
  connect(name: ServerName): Promise<ConnectResult>
}

/** Keeps a stream to one wanted name. */
export interface PeerKeeper {
  /** There is news of the peer: tries soon. */
  kick(): void
  stop(): void
}

/** @param yields this side lets the other one dial first */
export function createPeerKeeper(deps: PeerKeeperDeps, name: ServerName, yields: () => boolean): PeerKeeper {
  const { clock, table } = deps
  const backoff = createBackoff(clock, deps.random, PEER_BACKOFF)
  const stop = new AbortController()
  let lastKick = 0
  let cancelKick: (() => void) | undefined
  const met = (): boolean => table.best(name) !== undefined

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      if (met()) {
        const since = clock.now()
        await table.until(() => !met(), stop.signal)
        if (clock.now() - since >= LASTING_MS) backoff.reset()
        else await backoff.wait(stop.signal)
      }
      const result = await deps.connect(name)
      if (!met()) await backoff.wait(stop.signal, result !== 'unknown')
    }
  }

  run().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error
  })

  return {
    kick() {
      if (met() || cancelKick !== undefined) return
      const now = clock.now()
      const wait = Math.max(yields() ? YIELD_MS : 0, Math.min(MIN_KICK_MS, lastKick + MIN_KICK_MS - now))
      cancelKick = clock.after(wait, () => {
        cancelKick = undefined
        lastKick = clock.now()
        if (!met()) backoff.kick()
      })
    },
    stop() {
      cancelKick?.()
      stop.abort()
    },
  }
}
