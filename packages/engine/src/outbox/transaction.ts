/** One transaction to one destination: gathered, sent, and what came of it committed. */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { Committer } from '../kernel/committer.ts'
import type { Edu } from '../outbox-types.ts'
import type { Federation, Log, Store, Write } from '../ports.ts'
import { FederationError } from '../ports.ts'
import { mails, type MailRow } from '../mail/tables.ts'
import type { ReceivedQueue } from '../mail/received.ts'
import type { CursorRecord } from '../rooms/records.ts'
import type { EventRecord } from '../rooms/types.ts'
import type { Cursors } from './cursors.ts'
import type { Deliveries, Moved } from './deliveries.ts'
import type { FanOut, Forward } from './fan-out.ts'
import type { HeadExchange } from './heads.ts'
import type { TakenEvents } from './taken.ts'
import type { Destination, OutboxMemory, SentRow } from './memory.ts'
import { acknowledged, edus, lengthOf, MAX_COALESCED_EDUS, MAX_TRANSACTION_PDUS } from './memory.ts'

/** spec: server-server-api.md PUT /send. Half of them are left to receipts and typing. */
export const MAX_TRANSACTION_EDUS = 100
/** Refusals after which one event or EDU is left out. */
export const MAX_REFUSALS = 3
export const TRANSACTION_TIMEOUT_MS = 30_000

export type TransactionDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly federation: Federation
  readonly log: Log
  readonly memory: OutboxMemory
  /** Committed events, from memory where they are recent. */
  readonly loadEvents: (ids: readonly EventId[]) => Promise<readonly (EventRecord | undefined)[]>
  readonly cursors: Cursors
  readonly heads: HeadExchange
  readonly fanOut: Pick<FanOut, 'ceiling' | 'failed'>
  readonly taken: TakenEvents
  readonly deliveries: Deliveries
  readonly transactionId: () => string
  /** Absent where no mail is fetched. */
  readonly received?: ReceivedQueue | undefined
  /** What to do while an answer is waited for; resolves then at the latest when that is done. */
  readonly meanwhile: (target: Destination, answer: Promise<unknown>) => Promise<void>
}

export type DurableRow = readonly [key: readonly [ServerName, number], edu: Edu]

type Gathered = {
  readonly pdus: readonly JsonObject[]
  /** How far the destination has got when it took the events. */
  readonly reached: ReadonlyMap<RoomId, number>
  readonly durable: readonly DurableRow[]
}

/** Events that go by gossip. */
type Passed = { readonly pdus: readonly JsonObject[]; readonly forwards: ReadonlyMap<EventId, Forward> }

/** False when nothing waits. @throws when the destination did not take it. */
export async function sendTransaction(deps: TransactionDeps, target: Destination): Promise<boolean> {
  const gathered = await gather(deps, target)
  const { pdus, durable } = gathered
  // While what cannot be taken is being looked for, nothing else is in the way.
  const isSearching = target.batch < MAX_TRANSACTION_PDUS && pdus.length + durable.length > 0
  const passed = await gatherForwards(deps, target, gathered, isSearching)
  const loose = takeLoose(target, isSearching ? 0 : MAX_TRANSACTION_EDUS - durable.length)
  const isEmpty = pdus.length + passed.pdus.length === 0 && durable.length === 0 && loose.edus.length === 0
  const telling = await deps.received?.gather(target.name)
  const isQuiet = isEmpty && !target.greet && telling === undefined
  if (isQuiet && !deps.heads.isDue(target.name) && !target.isTakenDue) return false
  const heads = await deps.heads.tell(target.name)
  const taken = await deps.taken.takeOut(target)
  target.isTakenDue &&= target.taken.size > 0
  if (isQuiet && heads === undefined && taken === undefined) return false
  const transaction = {
    txnId: deps.transactionId(),
    pdus: [...pdus, ...passed.pdus],
    edus: [...durable.map(([, edu]) => edu), ...loose.edus],
    ...(heads === undefined ? {} : { heads }),
    ...(taken === undefined ? {} : { taken }),
    ...(telling === undefined ? {} : { received: telling.received }),
    // Stock servers keep no sequence.
    ...(durable.length === 0 || !isKeyName(target.name)
      ? {}
      : { sequence: target.acknowledged + durable.length, acknowledged: target.acknowledged }),
  }
  try {
    const answered = deps.federation.sendTransaction(target.name, transaction, {
      timeoutMs: TRANSACTION_TIMEOUT_MS,
    })
    await deps.meanwhile(target, answered)
    const answer = await answered
    noteRefusedEvents(deps, target, answer.pdus)
    if (heads !== undefined) deps.heads.told(target.name, heads)
    await telling?.done()
    const reached = await reachedWith(deps, target, gathered.reached, passed)
    forget(target, passed)
    await noteAnswer(deps, target, { ...gathered, reached }, answer.committed)
    if (answer.heads !== undefined) deps.heads.heard(target.name, answer.heads)
    target.greet = false
    target.refusals = 0
    target.batch = Math.min(target.batch * 2, MAX_TRANSACTION_PDUS)
  } catch (error) {
    if (!isAboutContent(error)) {
      loose.restore()
      throw error
    }
    // What goes by gossip may be left out, which is the first thing to try.
    if (passed.pdus.length > 0) forget(target, passed)
    else await giveLess(deps, target, gathered, error)
  }
  return true
}

/** What waits to be passed on, unless it goes as an own event anyway, or can be passed on no more. */
async function gatherForwards(
  { loadEvents }: TransactionDeps,
  target: Destination,
  { pdus, reached }: Gathered,
  isSearching: boolean,
): Promise<Passed> {
  for (const [id, { roomId, position }] of target.forwards) {
    const top = Math.max(reached.get(roomId) ?? 0, target.rooms.get(roomId)?.cursor ?? 0)
    if (position !== undefined && position <= top) target.forwards.delete(id)
  }
  const limit = isSearching ? 0 : MAX_TRANSACTION_PDUS - pdus.length
  const forwards = new Map([...target.forwards].slice(0, limit))
  if (forwards.size === 0) return { pdus: [], forwards }
  const records = await loadEvents([...forwards.keys()])
  return {
    pdus: records.flatMap((record): JsonObject[] => (record === undefined ? [] : [record.pdu])),
    forwards,
  }
}

function forget({ forwards }: Destination, passed: Passed): void {
  for (const [id, forward] of passed.forwards) if (forwards.get(id) === forward) forwards.delete(id)
}

/** How far the destination has got where own events that went by gossip follow on what it had. */
async function reachedWith(
  { memory }: TransactionDeps,
  target: Destination,
  given: ReadonlyMap<RoomId, number>,
  { forwards }: Passed,
): Promise<ReadonlyMap<RoomId, number>> {
  const reached = new Map(given)
  for (const { roomId, position } of forwards.values()) {
    const from = Math.max(reached.get(roomId) ?? 0, target.rooms.get(roomId)?.cursor ?? 0)
    if (position === undefined || position <= from) continue
    for (const [at, id] of await memory.sentBetween(roomId, from, position, MAX_TRANSACTION_PDUS)) {
      if (!forwards.has(id)) break
      reached.set(roomId, at)
    }
  }
  return reached
}

function noteRefusedEvents(
  { log }: TransactionDeps,
  { name }: Destination,
  answers: Readonly<Record<string, { error?: string }>>,
): void {
  for (const [eventId, { error }] of Object.entries(answers)) {
    if (error !== undefined)
      log.log('warn', 'a destination refused an event', { destination: name, eventId, error })
  }
}

async function gather(deps: TransactionDeps, target: Destination): Promise<Gathered> {
  const events = await collectPdus(deps, target, {
    limit: target.batch,
    after: ({ cursor }) => cursor,
    ceiling: (roomId) => deps.fanOut.ceiling(target, roomId),
  })
  // Of the smallest batch the event alone, since either can be what the destination cannot take.
  const limit = target.batch === 1 && events.pdus.length > 0 ? 0 : target.batch
  const durable =
    target.lastEdu === 0 || limit === 0 ? [] : await edus.list(deps.store, [target.name], { limit })
  return { ...events, durable }
}

/** True for an answer that the same transaction would get again. */
function isAboutContent(error: unknown): boolean {
  return error instanceof FederationError && (error.remote.status === 400 || error.remote.status === 413)
}

/**
 * One thing that a destination cannot take must not keep all others from it for ever: it is found by halving, and left
 * out when it was refused several times, with pauses. @throws for a pause.
 */
async function giveLess(
  deps: TransactionDeps,
  target: Destination,
  gathered: Gathered,
  error: unknown,
): Promise<void> {
  const { pdus, durable } = gathered
  if (pdus.length + durable.length > 1) {
    target.batch = Math.max(1, Math.floor(Math.max(pdus.length, durable.length) / 2))
    return
  }
  target.refusals += 1
  if (target.refusals < MAX_REFUSALS || pdus.length + durable.length === 0) throw error
  deps.log.log('error', 'a destination cannot take an event or EDU', {
    destination: target.name,
    error: String(error),
  })
  target.refusals = 0
  await noteAnswer(deps, target, gathered, undefined)
}

export type Portion = {
  readonly limit: number
  /** Bytes of the events as JSON, of all but the first. */
  readonly maxLength?: number
  /** How far the destination has got in a room. */
  readonly after: (record: CursorRecord, roomId: RoomId) => number
  /** The last position that is to go; all if absent. */
  readonly ceiling?: (roomId: RoomId) => number
}

/** The oldest own events that the destination lacks, and how far it has got with them. */
export async function collectPdus(
  { memory, loadEvents }: Pick<TransactionDeps, 'memory' | 'loadEvents'>,
  target: Destination,
  { limit, maxLength = Number.POSITIVE_INFINITY, after, ceiling }: Portion,
): Promise<Pick<Gathered, 'pdus' | 'reached'>> {
  const found: { roomId: RoomId; top: number; rows: readonly SentRow[] }[] = []
  for (const [roomId, record] of target.rooms) {
    const from = after(record, roomId)
    const last = Math.min(record.until ?? Infinity, ceiling?.(roomId) ?? Infinity)
    const top = Math.min(memory.newest.get(roomId) ?? 0, last)
    if (top <= from) continue
    found.push({ roomId, top, rows: await memory.sentBetween(roomId, from, top, limit) })
  }
  const waiting = found.flatMap(({ rows }) => rows).sort(([a], [b]) => a - b)
  const records = await loadEvents(waiting.slice(0, limit).map(([, id]) => id))
  const fitting = maxLength === Number.POSITIVE_INFINITY ? records.length : countFitting(records, maxLength)
  const last = waiting[fitting - 1]?.[0] ?? 0
  const reached = new Map<RoomId, number>()
  for (const { roomId, top, rows } of found) {
    const whole = rows.length < limit && rows.every(([position]) => position <= last)
    const position = whole ? top : rows.findLast(([at]) => at <= last)?.[0]
    if (position !== undefined) reached.set(roomId, position)
  }
  const pdus = records
    .slice(0, fitting)
    .flatMap((record): JsonObject[] => (record === undefined ? [] : [record.pdu]))
  return { pdus, reached }
}

/** How many values, from the first, are no longer than that as JSON in bytes; the first in any case. */
export function countFitting(values: readonly unknown[], maxLength: number): number {
  let length = 0
  const tooLong = values.findIndex((value, index) => {
    length += utf8ToBytes(JSON.stringify(value ?? null)).length
    return index > 0 && length > maxLength
  })
  return tooLong === -1 ? values.length : tooLong
}

/** Receipts and typing notices; `restore` puts the receipts back unless newer ones came. */
function takeLoose(target: Destination, limit: number): { edus: readonly Edu[]; restore: () => void } {
  const receipts = [...target.coalesced].slice(0, limit)
  for (const [key] of receipts) target.coalesced.delete(key)
  const typing = target.volatile.slice(0, limit - receipts.length)
  target.volatile = []
  return {
    edus: [...receipts.map(([, edu]) => edu), ...typing],
    restore: () => {
      for (const [key, edu] of receipts) {
        const { coalesced } = target
        if (!coalesced.has(key) && coalesced.size < MAX_COALESCED_EDUS) coalesced.set(key, edu)
      }
    },
  }
}

/** Commits what a destination has. @throws when it took less than it was given, so that it is not asked at once. */
async function noteAnswer(
  deps: TransactionDeps,
  target: Destination,
  { reached, durable }: Gathered,
  committed: number | undefined,
): Promise<void> {
  // A server that keeps no sequence (not a Plexus node) has what it answered 200 to.
  const taken = committed === undefined ? durable.length : Math.max(committed - target.acknowledged, 0)
  const rows = durable.slice(0, taken)
  await noteTaken(deps, target, { reached, rows })
  if (rows.length < durable.length) throw new Error('the destination did not take all durable EDUs')
}

/** Commits that a destination has own events up to these positions, and the first of its durable EDUs. */
export async function noteTaken(
  deps: Pick<TransactionDeps, 'committer' | 'cursors' | 'deliveries' | 'memory'>,
  target: Destination,
  { reached, rows }: { reached: ReadonlyMap<RoomId, number>; rows: readonly DurableRow[] },
): Promise<void> {
  const sequence = target.acknowledged + rows.length
  const moved: Moved[] = []
  await deps.committer.submit({
    // A room may have been joined or left meanwhile, and mail been noted: the rows are made of what is true at the commit.
    writes: (at) => {
      const { name } = target
      const advanced = [...reached].flatMap(([roomId, to]) =>
        advance(deps, target, at, { roomId, position: to, moved }),
      )
      const over = [...target.mail.rows].filter(([, row]) => isOver(deps, target, row, sequence, reached))
      for (const [txnId] of over) target.mail.rows.delete(txnId)
      return [
        ...rows.map(([key]) => edus.delete(key)),
        ...(rows.length === 0 ? [] : [acknowledged.put([name], sequence)]),
        ...advanced,
        ...over.map(([txnId]) => mails.delete([name, txnId])),
      ]
    },
  })
  if (rows.length > 0) target.acknowledged = sequence
  const last = rows.at(-1)?.[0][1] ?? 0
  if (last >= target.lastEdu) target.lastEdu = 0
  deps.memory.room.taken(
    target,
    rows.reduce((sum, [, edu]) => sum + lengthOf(edu), 0),
  )
  await deps.deliveries.moved(moved)
}

/** True for a mail of which the destination has everything. */
export function isOver(
  { cursors }: Pick<TransactionDeps, 'cursors'>,
  { name, acknowledged: last }: Destination,
  { rooms, edus }: MailRow,
  sequence: number = last,
  reached: ReadonlyMap<RoomId, number> = new Map(),
): boolean {
  const position = (roomId: RoomId): number =>
    Math.max(reached.get(roomId) ?? 0, cursors.get(name, roomId)?.cursor ?? 0)
  return (edus?.sequence ?? 0) <= sequence && rooms.every(({ roomId, to }) => to <= position(roomId))
}

function advance(
  { cursors }: Pick<TransactionDeps, 'cursors'>,
  { name }: Destination,
  at: number,
  { roomId, position, moved }: { roomId: RoomId; position: number; moved: Moved[] },
): Write[] {
  const record = cursors.get(name, roomId)
  if (record === undefined || record.cursor >= position) return []
  moved.push({ roomId, from: record.cursor, to: position })
  return [cursors.set(name, roomId, at, { ...record, cursor: position })]
}
