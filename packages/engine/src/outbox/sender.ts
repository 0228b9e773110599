/** Keeps one transaction at a time under way to each destination that something waits for. */
import type { ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { Clock, Random, Received } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import type { Destination } from './memory.ts'
import { away, MAX_MAIL_NEWS } from './memory.ts'
import type { TransactionDeps } from './transaction.ts'
import { sendTransaction } from './transaction.ts'

export const FIRST_BACKOFF_MS = 1_000
export const LAST_BACKOFF_MS = 900_000
/** Who has been away for longer is tried after a share of that time, which a fortnight makes a day. */
export const AWAY_SHARE = 14
export const LAST_AWAY_BACKOFF_MS = 86_400_000
/** Attempts with short pauses all the same: this node may have started just now. */
export const QUICK_TRIES = 3
/** How long an answer is waited for before mail is left besides. */
export const MAIL_AFTER_MS = 5_000

export interface Sender {
  /** Work may be waiting. `appeared`: the peers are here, forget the backoff. */
  kick(names: readonly ServerName[], appeared?: boolean): void
  /** The server has made a request: its pause ends, though its failures count on, as it may be out of our reach. */
  heard(name: ServerName): void
  /** The destination tells what it has got of our mail. */
  received(name: ServerName, received: Received): void
  idle(): Promise<void>
  close(): void
}

export function createSender(
  deps: Omit<TransactionDeps, 'meanwhile'> & {
    readonly clock: Clock
    readonly random: Random
    /** Absent where no mail is left. */
    readonly mailer?: Mailer | undefined
  },
): Sender {
  const running = new Set<Promise<void>>()
  let closed = false

  /** One after the other for each destination: directly, unless it is out of reach and its pause is not over. */
  const start = (target: Destination, work: (target: Destination) => Promise<void> = sendAll): void => {
    if (target.sending) {
      target.again = true
      return
    }
    target.sending = true
    target.again = false
    const run = work(target).finally(() => {
      target.sending = false
      running.delete(run)
      const isPaused = target.failures > 0 && target.cancelRetry !== undefined
      if (target.again && !closed) start(target, isPaused ? mailAll : sendAll)
    })
    running.add(run)
  }

  const mailAll = async (target: Destination): Promise<void> => {
    await deps.mailer?.workOff(target)
    await deps.mailer?.leave(target, () => target.failures > 0 && !closed)
    if (closed || target.cancelRetry === undefined) return
    const { mail, retryAt } = target
    const now = deps.clock.now()
    mail.stuckSince = mail.stuck.size === 0 ? undefined : (mail.stuckSince ?? now)
    // What is at no relay either waits for no day: it may be this node that reaches nobody.
    if (retryAt - now > longestPause(target, now)) retryLater(target)
  }

  /** Who does not answer soon may be away: finding that out takes longer than its sender may stay. */
  const meanwhile: TransactionDeps['meanwhile'] = async (target, answer) => {
    const { mailer } = deps
    if (mailer === undefined) return
    let isOver = false
    await new Promise<void>((resolve) => {
      const cancel = deps.clock.after(MAIL_AFTER_MS, resolve)
      const over = (): void => {
        isOver = true
        cancel()
        resolve()
      }
      answer.then(over, over)
    })
    await mailer.leave(target, () => !isOver && !closed)
  }

  const sendAll = async (target: Destination): Promise<void> => {
    try {
      await deps.mailer?.workOff(target)
      while (!closed && (await sendTransaction({ ...deps, meanwhile }, target))) {
        target.failures = 0
        seen(target)
        if (target.isAwayKept) await keepAway(deps.committer, target, undefined)
      }
      // Nothing waits: what comes next is tried at once.
      target.failures = 0
    } catch (error) {
      backOff(target, error)
      if (!isAway(error)) return
      target.mail.stuck.clear()
      await mailAll(target)
    }
  }

  const backOff = (target: Destination, error: unknown): void => {
    target.awaySince ??= deps.clock.now()
    target.failures += 1
    target.isUp = false
    target.volatile = []
    deps.fanOut.failed(target)
    deps.log.log('debug', 'a destination cannot be reached', {
      destination: target.name,
      error: String(error),
    })
    if (closed) return
    retryLater(target)
    const isLong = target.isKeyName && deps.clock.now() - target.awaySince > LAST_BACKOFF_MS
    if (!isLong || target.isAwayKept) return
    keepAway(deps.committer, target, target.awaySince).catch((failure: unknown) =>
      deps.log.log('error', 'it was not noted who is away', { error: String(failure) }),
    )
  }

  /** Full jitter, so that a thousand nodes that lost the same peer do not return at once. */
  const retryLater = (target: Destination): void => {
    const now = deps.clock.now()
    const [high = 0, low = 0] = deps.random.bytes(2)
    const pauseMs = Math.ceil(longestPause(target, now) * ((high * 256 + low + 1) / 65_536))
    target.cancelRetry?.()
    target.retryAt = now + pauseMs
    target.cancelRetry = deps.clock.after(pauseMs, () => {
      target.cancelRetry = undefined
      start(target)
    })
  }

  return {
    kick(names, appeared = false) {
      if (closed) return
      for (const name of names) {
        const target = deps.memory.destinations.get(name)
        if (target === undefined) continue
        if (appeared) {
          target.failures = 0
          seen(target)
        }
        if (target.failures > 0) {
          start(target, mailAll)
          continue
        }
        target.cancelRetry?.()
        target.cancelRetry = undefined
        start(target)
      }
    },
    heard(name) {
      const target = deps.memory.destinations.get(name)
      if (target !== undefined) seen(target)
      if (closed || target?.cancelRetry === undefined) return
      target.cancelRetry()
      target.cancelRetry = undefined
      start(target)
    },
    received(name, received) {
      const target = deps.memory.destinations.get(name)
      if (closed || target === undefined || target.mail.news.length >= MAX_MAIL_NEWS) return
      target.mail.news.push(received)
      start(target, target.failures === 0 ? sendAll : mailAll)
    },
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
    close() {
      closed = true
      for (const target of deps.memory.destinations.values()) target.cancelRetry?.()
    },
  }
}

function seen(target: Destination): void {
  target.isUp = true
  target.awaySince = undefined
}

/**
 * Milliseconds before the next attempt. Who was away for long may be gone for good, and a Plexus server tells when it is
 * not, by its relay.
 */
function longestPause({ failures, awaySince, isKeyName, mail }: Destination, now: number): number {
  const awayMs = isKeyName ? now - Math.max(awaySince ?? now, mail.stuckSince ?? 0) : 0
  if (failures <= QUICK_TRIES || awayMs <= LAST_BACKOFF_MS)
    return Math.min(FIRST_BACKOFF_MS * 2 ** (failures - 1), LAST_BACKOFF_MS)
  return Math.min(Math.max(awayMs / AWAY_SHARE, LAST_BACKOFF_MS), LAST_AWAY_BACKOFF_MS)
}

/** Keeps since when the destination has been away, so that it is not tried more often after each start. */
async function keepAway(committer: Committer, target: Destination, since: number | undefined): Promise<void> {
  target.isAwayKept = since !== undefined
  const write = since === undefined ? away.delete([target.name]) : away.put([target.name], since)
  await committer.submit({ writes: () => [write] })
}

function isAway(error: unknown): boolean {
  return error instanceof CarrierError && (error.code === 'unreachable' || error.code === 'timeout')
}
