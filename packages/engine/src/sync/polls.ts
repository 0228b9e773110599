/** Requests that wait for something new: `/sync` and what is like it. */
import type { UserId } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { acknowledged, away, edus } from '../outbox/memory.ts'
import type { Clock } from '../ports.ts'
import { clientTransactions, cursors, groups, sent, staged } from '../rooms/records.ts'
import { indexed, postings } from '../search/postings.ts'
import { pushed } from '../users/tables.ts'

/** Longest wait of one request. */
export const MAX_SYNC_TIMEOUT_MS = 120_000
/** Requests that wait at a time; further ones are answered at once. */
export const MAX_WAITING = 500
/** Of one user, so that nobody takes the places of all. */
export const MAX_WAITING_EACH = 50

/** What a node keeps for itself: a commit to nothing else changes no answer. */
const UNSEEN_MAPS: ReadonlySet<string> = new Set([
  'stream',
  ...[
    staged,
    cursors,
    sent,
    clientTransactions,
    groups,
    edus,
    acknowledged,
    away,
    postings,
    indexed,
    pushed,
  ].map(({ map }) => map),
])

/** Whether a commit to these maps may change what a client is told. */
export const changesAnswers = (maps: ReadonlySet<string>): boolean =>
  ![...maps].every((map) => UNSEEN_MAPS.has(map))

export type Attempt<T> = { readonly answer: T; readonly empty: boolean }

export interface Polls {
  readonly waiting: number
  /**
   * Answers with the first attempt that is not empty, or with the last before the time is up; there is an attempt after
   * each change. @throws the signal's reason when it is aborted while waiting.
   */
  until<T>(
    userId: UserId,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    attempt: () => Promise<Attempt<T>>,
  ): Promise<T>
}

type PollsDeps = {
  readonly committer: Committer
  readonly clock: Clock
  /** What changes without a commit. */
  readonly sources: readonly { onChange(listener: () => void): () => void }[]
}

export function createPolls(deps: PollsDeps): Polls {
  let waiting = 0
  const each = new Map<UserId, number>()
  const count = (userId: UserId, more: 1 | -1): void => {
    waiting += more
    const own = (each.get(userId) ?? 0) + more
    if (own === 0) each.delete(userId)
    else each.set(userId, own)
  }
  return {
    get waiting() {
      return waiting
    },
    async until(userId, timeoutMs, signal, attempt) {
      const isFull = waiting >= MAX_WAITING || (each.get(userId) ?? 0) >= MAX_WAITING_EACH
      const wake = createWake(deps, isFull ? 0 : timeoutMs, signal)
      count(userId, 1)
      try {
        for (;;) {
          const signalled = wake.next()
          const { answer, empty } = await attempt()
          if (!empty || wake.expired) return answer
          signal?.throwIfAborted()
          await signalled
          signal?.throwIfAborted()
        }
      } finally {
        count(userId, -1)
        wake.stop()
      }
    },
  }
}

interface Wake {
  /** Resolves at the next commit or change of what is in memory after the call, or when time is up or the request is aborted. */
  next(): Promise<void>
  readonly expired: boolean
  stop(): void
}

function createWake(
  { committer, clock, sources }: PollsDeps,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Wake {
  let expired = timeoutMs <= 0
  let resolve: () => void = () => undefined
  const wakeUp = (): void => resolve()
  const stops = [
    committer.onCommit((_, maps) => {
      if (changesAnswers(maps)) wakeUp()
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
