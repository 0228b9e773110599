/**
 * Accepted redactions whose target has not come yet, in memory: asked for with every event, they must not cost a read.
 * The rows are written with the redactions.
 */
import type { EventId, ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { createLru } from '../kernel/lru.ts'
import type { Store } from '../ports.ts'
import type { WaitingRedaction } from './records.ts'
import { waitingRedactions } from './records.ts'

/** Redactions that are remembered; a target that comes after so many others is shown unredacted. */
export const MAX_WAITING_REDACTIONS = 20_000

/** Stands for all servers; no server has this name. */
const EVERYBODY = '*'

export interface WaitingRedactions {
  /** The redaction that waits for this event of a user of `server`. */
  get(target: EventId, server: ServerName): Promise<WaitingRedaction | undefined>
  add(target: EventId, redaction: WaitingRedaction): void
  remove(target: EventId, redaction: WaitingRedaction): void
}

/** Whose events of this id it redacts: those of everybody, or of its own server. One kind does not displace another. */
export function reachOf({ ofOthers, server }: WaitingRedaction): ServerName | typeof EVERYBODY {
  return ofOthers ? EVERYBODY : server
}

export function createWaitingRedactions(deps: { store: Store; committer: Committer }): WaitingRedactions {
  const known = createLru<string, WaitingRedaction>(MAX_WAITING_REDACTIONS)
  let loaded: Promise<void> | undefined
  deps.committer.onFailure(() => {
    known.clear()
    loaded = undefined
  })
  const load = async (): Promise<void> => {
    const rows = await waitingRedactions.list(deps.store, [], { limit: MAX_WAITING_REDACTIONS })
    for (const [[target, reach], redaction] of rows) known.set(`${target} ${reach}`, redaction)
  }
  return {
    async get(target, server) {
      loaded ??= load()
      await loaded
      return known.get(`${target} ${EVERYBODY}`) ?? known.get(`${target} ${server}`)
    },
    add: (target, redaction) => known.set(`${target} ${reachOf(redaction)}`, redaction),
    remove: (target, redaction) => known.delete(`${target} ${reachOf(redaction)}`),
  }
}
