/** One transaction to one destination: gathered, sent, and what came of it committed. */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Edu } from '../outbox-types.ts'
import type { Federation, Log, Store, Write } from '../ports.ts'
import { cursors, events, sent } from '../rooms/records.ts'
import type { Deliveries, Moved } from './deliveries.ts'
import type { Destination, OutboxMemory } from './memory.ts'
import { acknowledged, edus } from './memory.ts'

/** spec: server-server-api.md PUT /send: at most 50 PDUs and 100 EDUs */
export const MAX_TRANSACTION_PDUS = 50
export const MAX_TRANSACTION_EDUS = 100
/** The rest of a transaction's EDUs is left to receipts and typing. */
const MAX_DURABLE_EDUS = 50
export const TRANSACTION_TIMEOUT_MS = 30_000

export type TransactionDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly federation: Federation
  readonly log: Log
  readonly memory: OutboxMemory
  readonly deliveries: Deliveries
  readonly transactionId: () => string
}

type DurableRow = readonly [key: readonly [ServerName, number], edu: Edu]

/** False when nothing waits. @throws when the destination did not take it. */
export async function sendTransaction(deps: TransactionDeps, target: Destination): Promise<boolean> {
  const { pdus, reached } = await collectPdus(deps, target)
  const durable =
    target.lastEdu === 0 ? [] : await edus.list(deps.store, [target.name], { limit: MAX_DURABLE_EDUS })
  const loose = takeLoose(target, MAX_TRANSACTION_EDUS - durable.length)
  if (pdus.length === 0 && durable.length === 0 && loose.edus.length === 0) return false
  const answer = await deps.federation
    .sendTransaction(
      target.name,
      {
        txnId: deps.transactionId(),
        pdus,
        edus: [...durable.map(([, edu]) => edu), ...loose.edus],
        ...(durable.length === 0
          ? {}
          : { sequence: target.acknowledged + durable.length, acknowledged: target.acknowledged }),
      },
      { timeoutMs: TRANSACTION_TIMEOUT_MS },
    )
    .catch((error: unknown) => {
      loose.restore()
      throw error
    })
  for (const [eventId, { error }] of Object.entries(answer.pdus)) {
    if (error === undefined) continue
    deps.log.log('warn', 'a destination refused an event', { destination: target.name, eventId, error })
  }
  await noteAnswer(deps, target, reached, durable, answer.committed)
  return true
}

/** The oldest own events that the destination lacks, and how far it has got with them. */
async function collectPdus(
  { store, memory }: TransactionDeps,
  target: Destination,
): Promise<{ pdus: readonly JsonObject[]; reached: ReadonlyMap<RoomId, number> }> {
  const found: { roomId: RoomId; top: number; rows: readonly (readonly [number, EventId])[] }[] = []
  for (const [roomId, record] of target.rooms) {
    const top = Math.min(memory.newest.get(roomId) ?? 0, record.until ?? Number.MAX_SAFE_INTEGER)
    if (top <= record.cursor) continue
    const limit = MAX_TRANSACTION_PDUS
    const rows = await sent.range(store, [roomId], record.cursor + 1, top + 1, { limit })
    found.push({ roomId, top, rows: rows.map(([[, position], id]) => [position, id] as const) })
  }
  const waiting = found.flatMap(({ rows }) => rows).sort(([a], [b]) => a - b)
  const chosen = waiting.slice(0, MAX_TRANSACTION_PDUS)
  const last = chosen.at(-1)?.[0] ?? 0
  const reached = new Map<RoomId, number>()
  for (const { roomId, top, rows } of found) {
    const whole = rows.length < MAX_TRANSACTION_PDUS && rows.every(([position]) => position <= last)
    const position = whole ? top : rows.findLast(([at]) => at <= last)?.[0]
    if (position !== undefined) reached.set(roomId, position)
  }
  const ids = chosen.map(([, id]) => [id] as const)
  const pdus = (await events.getMany(store, ids)).flatMap((record): JsonObject[] =>
    record === undefined ? [] : [record.pdu],
  )
  return { pdus, reached }
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
      for (const [key, edu] of receipts) if (!target.coalesced.has(key)) target.coalesced.set(key, edu)
    },
  }
}

/** Commits what a destination has. @throws when it took less than it was given, so that it is not asked at once. */
async function noteAnswer(
  deps: TransactionDeps,
  target: Destination,
  reached: ReadonlyMap<RoomId, number>,
  durable: readonly DurableRow[],
  committed: number | undefined,
): Promise<void> {
  // A server that keeps no sequence (not a Plexus node) has what it answered 200 to.
  const taken = committed === undefined ? durable.length : Math.max(committed - target.acknowledged, 0)
  const rows = durable.slice(0, taken)
  const sequence = target.acknowledged + rows.length
  const moved: Moved[] = []
  await deps.committer.submit({
    // A room may have been joined or left meanwhile: the rows are made of what is true at the commit.
    writes: () => [
      ...rows.map(([key]) => edus.delete(key)),
      ...(rows.length === 0 ? [] : [acknowledged.put([target.name], sequence)]),
      ...[...reached].flatMap(([roomId, position]) => advance(target, roomId, position, moved)),
    ],
  })
  target.acknowledged = sequence
  const last = rows.at(-1)?.[0][1] ?? 0
  if (last >= target.lastEdu) target.lastEdu = 0
  await deps.deliveries.moved(moved)
  if (rows.length < durable.length) throw new Error('the destination did not take all durable EDUs')
}

function advance(target: Destination, roomId: RoomId, position: number, moved: Moved[]): Write[] {
  const record = target.rooms.get(roomId)
  if (record === undefined || record.cursor >= position) return []
  const next = { ...record, cursor: position }
  moved.push({ roomId, from: record.cursor, to: position })
  target.rooms.set(roomId, next)
  return [cursors.put([target.name, roomId], next)]
}
