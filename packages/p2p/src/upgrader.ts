import type { Clock, Random } from '@plexus/engine/ports'
import { createBackoff, pause, type Backoff } from './backoff.ts'
import type { LinkTable } from './link-table.ts'
import type { Link } from './link.ts'

/** Milliseconds between attempts to replace a relayed stream by a direct one: first and longest ceiling. */
const UPGRADE_BACKOFF = { firstMs: 10_000, maxMs: 300_000 } as const
/** The side with the higher peer id leaves the first attempt to the other side for so many milliseconds. */
const UPGRADE_YIELD_MS = 3_000

export type UpgraderDeps = {
  readonly clock: Clock
  readonly random: Random
  readonly table: LinkTable
  readonly ownPeerId: string
  upgrade(link: Link, address: string): Promise<boolean>
}

/** Replaces relayed streams by direct ones, while requests go on over the relayed ones. */
export interface Upgrader extends Disposable {
  /** A stream over a relay became ready, or its peer told more of its addresses. */
  relayed(link: Link, address: string): void
}

export function createUpgrader(deps: UpgraderDeps): Upgrader {
  const { clock, table } = deps
  const stop = new AbortController()
  const running = new Map<string, Backoff>()

  async function run(link: Link, address: string, backoff: Backoff): Promise<void> {
    if (deps.ownPeerId > link.peerId) await pause(clock, UPGRADE_YIELD_MS, stop.signal)
    while (!stop.signal.aborted && link.state === 'ready' && table.bestOf(link.peerId)?.direct !== true) {
      if (await deps.upgrade(link, address)) return
      await backoff.wait(stop.signal)
    }
  }

  return {
    relayed(link, address) {
      const before = running.get(link.peerId)
      before?.kick()
      if (before !== undefined) return
      const backoff = createBackoff(clock, deps.random, UPGRADE_BACKOFF)
      running.set(link.peerId, backoff)
      void run(link, address, backoff).finally(() => running.delete(link.peerId))
    },
    [Symbol.dispose]() {
      stop.abort()
    },
  }
}
