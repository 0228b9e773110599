/**
 * Accepted redactions whose target has not come yet, in memory: asked for with every event, they must not cost a read.
 * The rows are written with the redactions.
 */
import type { EventId } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { createLru } from '../kernel/lru.ts'
import type { Store } from '../ports.ts'
import type { WaitingRedaction } from './records.ts'
import { waitingRedactions } from './records.ts'

/** Redactions that are remembered; a target that comes after so many others is shown unredacted. */
export const MAX_WAITING_REDACTIONS = 20_000

export interface WaitingRedactions {
  /** The redaction that waits for this event. */
  get(target: EventId): Promise<WaitingRedaction | undefined>
  add(target: EventId, redaction: WaitingRedaction): void
}

export function createWaitingRedactions(deps: { store: Store; committer: Committer }): WaitingRedactions {
  const known = createLru<EventId, WaitingRedaction>(MAX_WAITING_REDACTIONS)
  let loaded: Promise<void> | undefined
  deps.committer.onFailure(() => {
    known.clear()
    loaded = undefined
  })
  const load = async (): Promise<void> => {
    const rows = await waitingRedactions.list(deps.store, [], { limit: MAX_WAITING_REDACTIONS })
    for (const [[target], redaction] of rows) known.set(target, redaction)
  }
  return {
    async get(target) {
      loaded ??= load()
      await loaded
      return known.get(target)
    },
    add: (target, redaction) => known.set(target, redaction),
  }
}
