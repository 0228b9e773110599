/**
 * `GET /sync` with long-polling.
 *
 * Invariants: nothing above the committed position is read; an answer's token stands after all that the answer shows
 * and before all that it does not; to-device messages are deleted once their device comes back with a later token.
 */
import type { Committer } from '../kernel/committer.ts'
import type { Clock } from '../ports.ts'
import { acknowledged, edus } from '../outbox/memory.ts'
import { clientTransactions, cursors, groups, sent, staged } from '../rooms/records.ts'
import { START, assemble } from './assemble.ts'
import { createClientEvents } from './client-event.ts'
import { createLazyMembers } from './lazy-members.ts'
import { createRoomMembers } from './room-members.ts'
import type { SectionDeps } from './room-sections.ts'
import type { SyncToken } from './tokens.ts'
import { formatSyncToken } from './tokens.ts'
import type { Sync, SyncDeps, SyncRequest } from './types.ts'
import { createUnread } from './unread.ts'
import { createVisibility } from './visibility.ts'

/** Longest wait of one request. */
export const MAX_SYNC_TIMEOUT_MS = 120_000
/** Requests that wait at a time; further ones are answered at once. */
export const MAX_WAITING = 500

/** What a node keeps for itself: a commit to nothing else changes no answer. */
const UNSEEN_MAPS: ReadonlySet<string> = new Set([
  'stream',
  ...[staged, cursors, sent, clientTransactions, groups, edus, acknowledged].map(({ map }) => map),
])

export function createSync(deps: SyncDeps): Sync {
  const { rooms, clock, committer, users } = deps
  const visibility = createVisibility(rooms)
  const sections: SectionDeps = {
    ...deps,
    visibility,
    clientEvents: createClientEvents({ rooms, clock, visibility }),
    members: createRoomMembers(rooms),
    unread: createUnread(deps),
  }
  const lazyMembers = createLazyMembers()
  let waiting = 0

  const poll = async (request: SyncRequest, since: SyncToken | undefined): Promise<SyncBody> => {
    const lazy = lazyMembers.begin(
      request.recipient,
      since === undefined ? undefined : formatSyncToken(since),
    )
    const answersAtOnce =
      since === undefined || request.fullState || request.timeoutMs <= 0 || waiting >= MAX_WAITING
    const wake = createWake(
      committer,
      [deps.typing, deps.presence],
      clock,
      answersAtOnce ? 0 : request.timeoutMs,
      request.signal,
    )
    waiting += 1
    try {
      let from = since ?? START
      for (;;) {
        const signalled = wake.next()
        const { body, token, empty } = await assemble(sections, request, from, lazy)
        if (!empty || answersAtOnce || wake.expired) {
          lazy.finish(formatSyncToken(token))
          return body
        }
        from = token
        await signalled
        request.signal?.throwIfAborted()
      }
    } finally {
      waiting -= 1
      wake.stop()
    }
  }

  return {
    async sync(request) {
      request.signal?.throwIfAborted()
      const { recipient } = request
      // A token of a future that was lost with the store: the client starts again.
      const since =
        request.since !== undefined && request.since.position <= committer.committed
          ? request.since
          : undefined
      if (since !== undefined) await users.toDevice.acknowledge(recipient, since.toDevice)
      return poll(request, since)
    },
    get waiting() {
      return waiting
    },
  }
}

type SyncBody = Awaited<ReturnType<Sync['sync']>>

interface Wake {
  /** Resolves at the next commit or change of what is in memory after the call, or when time is up or the request is aborted. */
  next(): Promise<void>
  readonly expired: boolean
  stop(): void
}

function createWake(
  committer: Committer,
  sources: readonly { onChange(listener: () => void): () => void }[],
  clock: Clock,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Wake {
  let expired = timeoutMs <= 0
  let resolve: () => void = () => undefined
  const wakeUp = (): void => resolve()
  const stops = [
    committer.onCommit((_, maps) => {
      if (![...maps].every((map) => UNSEEN_MAPS.has(map))) wakeUp()
    }),
    ...sources.map((source) => source.onChange(wakeUp)),
    clock.after(Math.min(timeoutMs, MAX_SYNC_TIMEOUT_MS), () => {
      expired = true
      wakeUp()
    }),
  ]
  signal?.addEventListener('abort', wakeUp, { once: true })
  return {
    next: () =>
      new Promise((done) => {
        resolve = done
      }),
    get expired() {
      return expired
    },
    stop() {
      for (const stop of stops) stop()
      signal?.removeEventListener('abort', wakeUp)
    },
  }
}
