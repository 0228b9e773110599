/** Transactions of other servers: events go to staging, EDUs to their handlers, the answer follows the commit. */
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion, ServerName } from '@plexus/core'
import { eventIdOf, isJsonObject, MAX_PREV_EVENTS, ownValue } from '@plexus/core'
import type { Committer } from './kernel/committer.ts'
import { createKeyedMutex } from './kernel/mutex.ts'
import type { Table } from './kernel/table.ts'
import { table } from './kernel/table.ts'
import type { EarlyEdus } from './early-edus.ts'
import { createEduFaults, EduFault } from './edu-faults.ts'
import type { HeadExchange } from './outbox/heads.ts'
import type { EduHandler, Inbound, InboundTransaction } from './outbox-types.ts'
import type { Clock, Durability, Log, Received, Store, Taken, Write } from './ports.ts'
import { StoreError } from './ports.ts'
import { EXCHANGE_REFUSED, MAILED_EXCHANGE } from './rooms/mailed-edus.ts'
import { MAILED_INVITE, MAILED_LEAVE } from './rooms/mailed-invites.ts'
import type { Staging } from './rooms/staging.ts'
import { RoomError } from './rooms/types.ts'

/** What is committed of the durable EDUs of one incarnation of a server. */
type OriginRecord = { readonly incarnation: string; readonly committed: number }

/** Transactions of one server that wait for their turn, or have it: servers send one at a time. */
export const MAX_WAITING_TRANSACTIONS = 8
/** Incarnations remembered of one server: a restored store makes a new one. */
export const MAX_INCARNATIONS = 8

const origins: Table<readonly [ServerName], readonly OriginRecord[]> = table('origin', ['s'])

/** EDUs that must not be lost, and are applied in the order of their sequence. DESIGN "End-to-end acknowledgement" */
export const DURABLE_EDU_TYPES: ReadonlySet<string> = new Set([
  'm.direct_to_device',
  'm.device_list_update',
  'm.signing_key_update',
  'plexus.contact',
  MAILED_INVITE,
  MAILED_EXCHANGE,
  EXCHANGE_REFUSED,
  MAILED_LEAVE,
])

const isDurable = ({ edu_type: type }: JsonObject): boolean =>
  typeof type === 'string' && DURABLE_EDU_TYPES.has(type)

/** In the place of an EDU that is applied. */
const NOTHING: JsonObject = {}

export type InboundDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly staging: Staging
  readonly clock: Clock
  readonly log: Log
  readonly heads: Pick<HeadExchange, 'heard' | 'answer'>
  /** The state after an event is known. */
  readonly isPlaced: (eventId: EventId) => Promise<boolean>
  /** Of a room that is known. */
  readonly versionOf: (roomId: RoomId) => Promise<RoomVersion | undefined>
  /** What a server has of our events. */
  readonly taken: (origin: ServerName, taken: Taken) => void
  /** What a server has got of our mail. */
  readonly received: (origin: ServerName, received: Received) => void
  /** Another device has the account, and what is for it is not taken here. */
  readonly isReplaced?: () => boolean
  /** Absent where no mail is fetched. */
  readonly early?: EarlyEdus | undefined
  /** By EDU type; others are ignored. */
  readonly handlers: ReadonlyMap<string, EduHandler>
}

/** What is committed of the durable EDUs of one incarnation of a server. */
export async function committedOf(store: Store, origin: ServerName, incarnation: string): Promise<number> {
  const records = (await origins.get(store, [origin])) ?? []
  return records.find((record) => record.incarnation === incarnation)?.committed ?? 0
}

export function createInbound(deps: InboundDeps): Inbound {
  const perOrigin = createKeyedMutex()
  /** Transactions of each server that are here. */
  const waiting = new Map<ServerName, number>()

  const faults = createEduFaults(deps.clock)

  /** `note`: what is committed with it, if it is to be noted. @throws EduFault for a durable one that is to come again */
  const apply: Apply = async (origin, edu, note, durability = 'relaxed') => {
    const { edu_type: type, content } = edu
    const handler = typeof type === 'string' ? deps.handlers.get(type) : undefined
    const effect =
      handler === undefined || !isJsonObject(content)
        ? undefined
        : await handler(origin, content).catch((error: unknown) => skip(origin, edu, error))
    if (effect !== undefined || note !== undefined)
      await deps.committer.submit({
        durability,
        writes: (position) => [...(effect?.writes(position) ?? []), ...(note === undefined ? [] : [note])],
        ...(effect?.publish === undefined ? {} : { publish: effect.publish }),
      })
    if (isDurable(edu)) faults.applied(origin, edu)
  }

  /** A fault with one EDU must not keep all that follow it from being applied, now or in any later transaction. */
  const skip = (origin: ServerName, edu: JsonObject, error: unknown): undefined => {
    if (error instanceof StoreError) throw error
    if (isDurable(edu) && !faults.failed(origin, edu)) throw new EduFault(error)
    // A handler was found by it.
    const type = edu['edu_type'] as string
    deps.log.log('error', 'an EDU could not be applied', { origin, type, error: String(error) })
  }

  const take: Inbound['transaction'] = async ({ origin, pdus, edus, heads, taken, received, ordered }) => {
    if (deps.isReplaced?.() === true) throw new StoreError('closed', 'the account runs on another device')
    const verdicts = await deps.staging.receive(origin, pdus)
    for (const edu of edus) if (!isDurable(edu)) await apply(origin, edu, undefined)
    const durable = edus.filter(isDurable)
    // A server that numbers nothing forgets what it has an answer for: it must outlive a power cut.
    if (ordered === undefined) for (const edu of durable) await apply(origin, edu, undefined, 'strict')
    const committed =
      ordered === undefined ? undefined : await applyOrdered(deps, apply, origin, durable, ordered)
    const own = heads === undefined ? undefined : await deps.heads.answer(origin, heads)
    // What comes of them is not waited for.
    if (heads !== undefined) deps.heads.heard(origin, heads)
    if (taken !== undefined) deps.taken(origin, taken)
    if (received !== undefined) deps.received(origin, received)
    return {
      pdus: verdicts,
      ...(committed === undefined ? {} : { committed }),
      ...(own === undefined ? {} : { heads: own }),
    }
  }

  deps.early?.onDue((origin) =>
    perOrigin.run(origin, async () => {
      for (const { edu, write, publish } of (await deps.early?.waiting(origin)) ?? []) {
        await apply(origin, edu, write)
        publish()
      }
    }),
  )

  return {
    /** One at a time of each server, whatever carriers brought them: who sends many slows down nobody but itself. */
    async transaction(transaction) {
      const { origin } = transaction
      const count = waiting.get(origin) ?? 0
      if (count >= MAX_WAITING_TRANSACTIONS)
        throw new RoomError('M_LIMIT_EXCEEDED', 'too many transactions of this server wait')
      waiting.set(origin, count + 1)
      try {
        return await perOrigin.run(origin, () => take(transaction))
      } finally {
        const left = (waiting.get(origin) ?? 1) - 1
        if (left === 0) waiting.delete(origin)
        else waiting.set(origin, left)
      }
    },
    async isNext({ origin, pdus, edus, ordered }) {
      if (ordered !== undefined && edus.length > 0) {
        const committed = await committedOf(deps.store, origin, ordered.incarnation)
        if (ordered.sequence - edus.length > committed) return false
      }
      const inside = new Set<unknown>()
      for (const pdu of pdus) {
        const previous = ownValue(pdu, 'prev_events')
        if (!Array.isArray(previous) || previous.length > MAX_PREV_EVENTS) return false
        for (const id of previous)
          if (!inside.has(id) && (typeof id !== 'string' || !(await deps.isPlaced(id as EventId))))
            return false
        const roomId = ownValue(pdu, 'room_id')
        const version = typeof roomId === 'string' ? await deps.versionOf(roomId as RoomId) : undefined
        if (version !== undefined) inside.add(eventIdOf(version, pdu as Pdu))
      }
      return true
    },
  }
}

type Ordered = NonNullable<InboundTransaction['ordered']>

type Apply = (
  origin: ServerName,
  edu: JsonObject,
  note: Write | undefined,
  durability?: Durability,
) => Promise<void>

/** Applies what is new and next in sequence, each with the rise of the counter as one commit. */
async function applyOrdered(
  deps: InboundDeps,
  apply: Apply,
  origin: ServerName,
  durable: readonly JsonObject[],
  { incarnation, sequence, acknowledged, byMail }: Ordered,
): Promise<number> {
  const { early } = deps
  const records = (await origins.get(deps.store, [origin])) ?? []
  const others = records.filter((record) => record.incarnation !== incarnation).slice(0, MAX_INCARNATIONS - 1)
  const stored = records.find((record) => record.incarnation === incarnation)?.committed ?? 0
  const noteOf = (position: number): Write =>
    origins.put([origin], [{ incarnation, committed: position }, ...others])
  let committed = Math.max(stored, acknowledged)
  const first = sequence - durable.length + 1
  // A gap is not skipped: the answer tells the sender where to go on. Who mailed hears of no answer.
  if (first > committed + 1) {
    if (byMail === true) await early?.keep(origin, incarnation, { sequence: first, edus: durable })
    return committed
  }
  for (const [index, edu] of durable.entries()) {
    const position = first + index
    if (position <= committed) continue
    // The sender forgets what is acknowledged: it must outlive a power cut, and the last commit takes all before along.
    const durability = index === durable.length - 1 ? 'strict' : 'relaxed'
    const known = await early?.get(origin, incarnation, position)
    await apply(origin, known === 'applied' ? NOTHING : edu, noteOf(position), durability)
    committed = position
  }
  if (early === undefined) return committed
  const next = (): ReturnType<EarlyEdus['get']> => early.get(origin, incarnation, committed + 1)
  for (let edu = await next(); edu !== undefined; edu = await next()) {
    await apply(origin, edu === 'applied' ? NOTHING : edu, noteOf(committed + 1), 'strict')
    committed += 1
  }
  await early.forgetUpTo(origin, incarnation, committed)
  return committed
}
