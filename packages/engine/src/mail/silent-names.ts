/**
 * Names of which lately neither node nor shelf said anything, each after all its time: who asks for the keys of a room's members
 * waits for them all. They are on disk, or each start would wait for all who are gone for good.
 */
import type { ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { createSteady } from '../kernel/steady.ts'
import type { Clock, Log, Store, Write } from '../ports.ts'
import { seekPauseMs } from './contacts.ts'
import { silentNames } from './tables.ts'

/** Names of which that is remembered; beyond, the one that was noted longest ago is forgotten. */
export const MAX_SILENT_NAMES = 10_000

export type SilentNamesDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly log: Log
  /** Since when it has been out of the outbox's reach and was not heard from, milliseconds since the epoch. */
  readonly awaySince: (name: ServerName) => number | undefined
}

export interface SilentNames {
  /** It is given little time: less and less often all of it. */
  has(name: ServerName): boolean
  /** It had all its time from `since` on, as `steady` counts, and said nothing. Of several who asked at once one counts. */
  note(name: ServerName, since: number): Promise<void>
  /** It, or a shelf of it, said something. */
  spoke(name: ServerName): void
  readonly steady: () => number
}

/** When it had all its time last, and how often that was. */
type Silence = { readonly at: number; readonly times: number }

export async function loadSilentNames(deps: SilentNamesDeps): Promise<SilentNames> {
  const { store, committer, clock, log } = deps
  const steady = createSteady(clock)
  /** Oldest first, in the time of `steady`, which goes on over a restart. */
  const silent = new Map<ServerName, Silence>()
  const rows = await silentNames.list(store, [])
  for (const [[name], { at, times }] of rows.toSorted(([, a], [, b]) => a.at - b.at))
    silent.set(name, { at: steady() - Math.max(0, clock.now() - at), times })

  const write = async (writes: readonly Write[]): Promise<void> => {
    await committer
      .submit({ writes: () => writes })
      .catch((error: unknown) =>
        log.log('warn', 'it was not noted who says nothing', { error: String(error) }),
      )
  }

  return {
    steady,
    has(name) {
      const { at, times } = silent.get(name) ?? { at: Number.NEGATIVE_INFINITY, times: 0 }
      const awayMs = clock.now() - (deps.awaySince(name) ?? clock.now())
      return steady() - at < seekPauseMs(times, awayMs)
    },
    async note(name, since) {
      const { at, times } = silent.get(name) ?? { at: Number.NEGATIVE_INFINITY, times: 0 }
      if (at >= since) return
      silent.delete(name)
      silent.set(name, { at: steady(), times: times + 1 })
      const [oldest] = silent.size > MAX_SILENT_NAMES ? silent.keys() : []
      if (oldest !== undefined) silent.delete(oldest)
      await write([
        ...(oldest === undefined ? [] : [silentNames.delete([oldest])]),
        silentNames.put([name], { at: clock.now(), times: times + 1 }),
      ])
    },
    spoke(name) {
      if (silent.delete(name)) void write([silentNames.delete([name])])
    },
  }
}
