/**
 * Pushes to each service what waits for it. spec: application-service-api.md "Pushing events"
 *
 * Invariants:
 * 1. A transaction is committed before it is sent, and sent as it was committed, under one id, until the service took it.
 * 2. One transaction of a service is under way at a time; the next is committed with what notes that the one before was
 *    taken. So nothing is left out, doubled under another id, or told in another order, whenever the node is killed.
 */
import type { JsonObject } from '@plexus/core'
import { backoffMs } from '../kernel/backoff.ts'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'
import type { Log, Random } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import { RECEIPTS_MAP } from '../rooms-ephemeral/index.ts'
import type { CallService } from './calls.ts'
import { gather, type Transaction, type TransactionDeps } from './transaction.ts'
import { QUEUE_MAP } from './queue.ts'
import type { AppService } from './types.ts'

export const FIRST_BACKOFF_MS = 1_000
export const LAST_BACKOFF_MS = 300_000
/** A bridge may do all that the events ask for before it answers. */
const TRANSACTION_TIMEOUT_MS = 60_000

type StateRow = {
  /** The number of the last transaction that was made. */
  readonly transaction: number
  /** The position up to which its receipts were told. */
  readonly receipts: number
  /** The transaction, until it is taken. */
  readonly pending?: { readonly body: JsonObject; readonly last: number }
}

/** By service. */
const states: Table<readonly [string], StateRow> = table('service-state', ['s'])

type Target = {
  readonly service: AppService
  state: StateRow
  /** Of what is kept in memory only. */
  serial: number
  failures: number
  sending: boolean
  again: boolean
  cancelRetry: (() => void) | undefined
}

export type PushDeps = TransactionDeps & {
  readonly call: CallService
  readonly random: Random
  readonly log: Log
  /** Those that want traffic. */
  readonly services: readonly AppService[]
  /** Of the store: a service must not take the first transaction of a new store for one that it knows. */
  readonly incarnation: string
}

export interface Push {
  /** Sends what an earlier process left. */
  resume(): void
  /** The service is there: forget the backoff. */
  appeared(service: AppService): void
  /** Resolves when nothing is being sent; what waits for a service that is away remains. */
  idle(): Promise<void>
  close(): void
}

export async function createPush(deps: PushDeps): Promise<Push> {
  const { store, committer, clock, random, log } = deps
  const targets: Target[] = []
  const running = new Set<Promise<void>>()
  let closed = false

  for (const service of deps.services) {
    const known = await states.get(store, [service.id])
    const state = known ?? { transaction: 0, receipts: committer.committed }
    if (known === undefined) await committer.submit({ writes: () => [states.put([service.id], state)] })
    const target = { service, state, serial: deps.serial.current, failures: 0, sending: false, again: false }
    targets.push({ ...target, cancelRetry: undefined })
  }

  /** Notes that the pending transaction was taken, and makes the next one. False when nothing waits. */
  const advance = async (target: Target): Promise<boolean> => {
    const { service, state, serial } = target
    const { transaction, pending } = state
    const last = pending?.last ?? 0
    const next = await gather(deps, service, last, { receipts: state.receipts, serial })
    const { receipts } = next.heard
    const isEmpty = !hasNews(next, last)
    const after: StateRow = isEmpty
      ? { transaction, receipts }
      : { transaction: transaction + 1, receipts, pending: { body: next.body, last: next.last } }
    if (pending !== undefined || !isEmpty) {
      const taken = await deps.queue.taken(service, last)
      await committer.submit({
        writes: () => [...taken.writes, states.put([service.id], after)],
        publish: taken.publish,
      })
    }
    target.state = after
    target.serial = next.heard.serial
    return !isEmpty
  }

  const send = async ({ service, state }: Target): Promise<void> => {
    const { status } = await deps.call(service, {
      method: 'PUT',
      path: `transactions/${deps.incarnation}-${state.transaction}`,
      body: state.pending?.body ?? {},
      timeoutMs: TRANSACTION_TIMEOUT_MS,
    })
    if (status !== 200) throw new CarrierError('refused', `the answer is ${status}`)
  }

  const sendAll = async (target: Target): Promise<void> => {
    target.again = false
    try {
      let more = target.state.pending !== undefined || (await advance(target))
      while (more && !closed) {
        await send(target)
        target.failures = 0
        more = await advance(target)
      }
    } catch (error) {
      backOff(target, error)
    }
  }

  const start = (target: Target): void => {
    if (target.sending) {
      target.again = true
      return
    }
    target.sending = true
    const run = sendAll(target).finally(() => {
      target.sending = false
      running.delete(run)
      if (target.again && target.failures === 0 && !closed) start(target)
    })
    running.add(run)
  }

  const kick = (target: Target): void => {
    if (!closed && target.failures === 0) start(target)
  }

  const backOff = (target: Target, error: unknown): void => {
    target.failures += 1
    if (closed) return
    const pauseMs = backoffMs(random, target.failures, FIRST_BACKOFF_MS, LAST_BACKOFF_MS)
    const { id } = target.service
    log.log('warn', 'an application service takes nothing', { service: id, pauseMs, error: String(error) })
    target.cancelRetry = clock.after(pauseMs, () => {
      target.cancelRetry = undefined
      start(target)
    })
  }

  const kickForEphemeral = (): void => {
    for (const target of targets) if (target.service.registration.receiveEphemeral) kick(target)
  }
  committer.onCommit((_, maps) => {
    if (maps.has(QUEUE_MAP)) for (const target of targets) kick(target)
    if (maps.has(RECEIPTS_MAP)) kickForEphemeral()
  })
  deps.typing.onChange(kickForEphemeral)
  deps.presence.onChange(kickForEphemeral)

  return {
    resume() {
      for (const target of targets) start(target)
    },
    appeared(service) {
      const target = targets.find((each) => each.service === service)
      if (target === undefined || target.cancelRetry === undefined) return
      target.cancelRetry()
      target.cancelRetry = undefined
      target.failures = 0
      start(target)
    },
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
    close() {
      closed = true
      for (const target of targets) target.cancelRetry?.()
    },
  }
}

function hasNews({ body, last }: Transaction, before: number): boolean {
  return last > before || body['ephemeral'] !== undefined
}
