import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { Mailer } from '../mail/mailer.ts'
import { CarrierError, type Store } from '../ports.ts'
import { loadOutboxMemory, type Destination } from './memory.ts'
import { createSender, LAST_AWAY_BACKOFF_MS, LAST_BACKOFF_MS, QUICK_TRIES, type Sender } from './sender.ts'

const NAME = 'name.example' as ServerName
const NOW = 100 * LAST_AWAY_BACKOFF_MS

type World = {
  readonly sender: Sender
  readonly target: Destination
  /** Attempts to reach it. */
  readonly attempts: () => number
  /** Ends its pause, and waits for the attempt that follows. */
  readonly tryAgain: () => Promise<void>
}

/** A Plexus server that has been out of reach for a month, with something to tell it. */
async function world(leave: Mailer['leave']): Promise<World> {
  const store: Partial<Store> = { range: () => Promise.resolve([]) }
  const memory = await loadOutboxMemory(store as Store)
  const awaySince = NOW - 30 * LAST_AWAY_BACKOFF_MS
  const target = memory.destination(NAME)
  Object.assign(target, { isKeyName: true, awaySince, isAwayKept: true, greet: true })
  let attempts = 0
  let next = (): void => undefined
  const deps = {
    memory,
    mailer: { leave, workOff: () => Promise.resolve() },
    clock: {
      now: () => NOW,
      after(_: number, run: () => void) {
        next = run
        return () => undefined
      },
    },
    // Every pause is the longest that it may be.
    random: { bytes: (length: number) => new Uint8Array(length).fill(255) },
    log: { log: () => undefined },
    heads: { isDue: () => false, tell: () => Promise.resolve() },
    taken: { takeOut: () => Promise.resolve() },
    fanOut: { failed: () => undefined },
    loadEvents: () => Promise.resolve([]),
    transactionId: () => 'id',
    federation: {
      sendTransaction: () => {
        attempts += 1
        return Promise.reject(new CarrierError('unreachable', 'away'))
      },
    },
  }
  const sender = createSender(deps as unknown as Parameters<typeof createSender>[0])
  return {
    sender,
    target,
    attempts: () => attempts,
    async tryAgain() {
      // The timer of the pause is the last that was set.
      next()
      await sender.idle()
    },
  }
}

describe('a destination that was away for weeks', () => {
  it('is tried once a day where its mail is at its relays', async () => {
    const { sender, target, tryAgain } = await world(async () => undefined)
    sender.kick([NAME])
    await sender.idle()
    for (let tries = 1; tries <= QUICK_TRIES; tries += 1) {
      expect(target.retryAt - NOW).toBeLessThan(LAST_BACKOFF_MS)
      await tryAgain()
    }
    expect(target.retryAt - NOW).toBe(LAST_AWAY_BACKOFF_MS)
  })

  it('is tried after minutes where no relay took its mail, since it may be this node that reaches nobody', async () => {
    const { sender, target, tryAgain } = await world(async ({ mail }) => void mail.stuck.add('events'))
    sender.kick([NAME])
    await sender.idle()
    for (let tries = 0; tries < 20; tries += 1) await tryAgain()
    expect(target.retryAt - NOW).toBe(LAST_BACKOFF_MS)
  })

  it('is tried when it is heard from while mail is being left', async () => {
    const gate = Promise.withResolvers<void>()
    const { sender, target, attempts } = await world((_, isWanted) =>
      isWanted() ? gate.promise : Promise.resolve(),
    )
    sender.kick([NAME])
    while (target.failures === 0) await Promise.resolve()
    sender.heard(NAME)
    gate.resolve()
    await sender.idle()
    expect(attempts()).toBe(2)
  })
})
