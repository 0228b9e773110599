/** Work on mailboxes in a NATS cluster: one after the other on each, again when another relay was first. */
import { StoreError } from '@plexus/engine/ports'
import { NATS_DEADLINE_MS, NATS_RETRY_MS } from '../../limits.ts'

export interface Turns {
  /** Runs work on a mailbox after what was given before. */
  inTurn<T>(token: string, work: () => Promise<T>): Promise<T>
  /** Tries until there is an answer: each time that something of the mailbox became known, and now and then. @throws StoreError */
  until<T>(token: string, attempt: () => Promise<T | undefined>): Promise<T>
  /** Something of a mailbox became known. */
  news(token: string): void
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  const waiting = new Map<string, Set<() => void>>()

  function newsOrPause(token: string): Promise<void> {
    return new Promise((resolve) => {
      const waits = waiting.get(token) ?? new Set()
      waiting.set(token, waits)
      const done = (): void => {
        clearTimeout(timer)
        waits.delete(done)
        if (waits.size === 0) waiting.delete(token)
        resolve()
      }
      const timer = setTimeout(done, NATS_RETRY_MS)
      waits.add(done)
    })
  }

  return {
    async inTurn(token, work) {
      const before = last.get(token)
      const turn = before === undefined ? work() : before.then(work)
      const settled = turn.then(
        () => undefined,
        () => undefined,
      )
      last.set(token, settled)
      try {
        return await turn
      } finally {
        if (last.get(token) === settled) last.delete(token)
      }
    },
    async until(token, attempt) {
      const deadline = performance.now() + NATS_DEADLINE_MS
      for (;;) {
        const answer = await attempt()
        if (answer !== undefined) return answer
        if (performance.now() > deadline)
          throw new StoreError('failed', 'the NATS cluster does not say what it has')
        await newsOrPause(token)
      }
    },
    news(token) {
      for (const tell of waiting.get(token) ?? []) tell()
    },
  }
}
