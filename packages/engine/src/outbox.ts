/**
 * The outbox: for each destination, a cursor in the own events of each shared room and a queue of durable EDUs.
 *
 * Invariants:
 * 1. What is queued is committed with the change that caused it, and leaves in the commit that notes its
 *    acknowledgement; a crash in between sends it again, and the receiver knows it by event id or sequence.
 * 2. One transaction at a time is under way to a destination, so what arrives is in order.
 * 3. The wire sequence of the k-th durable EDU that waits is `acknowledged + k`: rows are added at the end only and
 *    deleted with the counter's rise, so a sequence never names two EDUs.
 */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import type { Committer } from './kernel/committer.ts'
import type { Table } from './kernel/table.ts'
import { table } from './kernel/table.ts'
import type { Edu, Outbox } from './outbox-types.ts'
import type { Clock, Delivery, Federation, Log, Random, Store, Write } from './ports.ts'
import { cursors, events as eventTable, sent } from './rooms/records.ts'
import type { CursorRecord } from './rooms/records.ts'
import type { DestinationTracker } from './rooms/room.ts'

/** spec: server-server-api.md PUT /send: at most 50 PDUs and 100 EDUs */
export const MAX_TRANSACTION_PDUS = 50
export const MAX_TRANSACTION_EDUS = 100
/** Receipts that wait for one destination; the oldest goes first. */
export const MAX_COALESCED_EDUS = 500
/** Typing notices that wait for the next transaction. */
export const MAX_VOLATILE_EDUS = 20
export const FIRST_BACKOFF_MS = 1_000
export const LAST_BACKOFF_MS = 900_000
export const TRANSACTION_TIMEOUT_MS = 30_000
/** Own events counted as waiting at most, for the user interface. */
const MAX_COUNTED_WAITING = 1_000

const edus: Table<readonly [ServerName, number], Edu> = table('edu', ['s', 'n'])
/** The sequence that a destination has acknowledged. */
const acknowledged: Table<readonly [ServerName], number> = table('edu-ack', ['s'])

export type OutboxDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly federation: Federation
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly ownName: ServerName
}

type Destination = {
  readonly name: ServerName
  readonly rooms: Map<RoomId, CursorRecord>
  /** The last key of a durable EDU that waits, 0 for none. */
  lastEdu: number
  acknowledged: number
  readonly coalesced: Map<string, Edu>
  volatile: Edu[]
  sending: boolean
  again: boolean
  failures: number
  cancelRetry: (() => void) | undefined
}

/** A change of the memory that follows a commit. */
type Pending = { readonly position: number; readonly apply: () => void }

export interface OutboxOwner {
  readonly outbox: Outbox
  readonly destinations: DestinationTracker
  /** Sends what an earlier process left. */
  resume(): void
  /** Resolves when nothing is being sent (what waits for a peer may remain). */
  idle(): Promise<void>
  close(): void
}

export async function createOutbox(deps: OutboxDeps): Promise<OutboxOwner> {
  const known = new Map<ServerName, Destination>()
  const newest = new Map<RoomId, number>()
  const watchers = new Set<(delivery: Delivery) => void>()
  const running = new Set<Promise<void>>()
  let pending: Pending[] = []
  let nextEdu = 1
  let nextTransaction = 1
  let closed = false
  // Transaction ids are unique across restarts, since a stock server answers a repeated one from its cache.
  const transactionPrefix = deps.clock.now().toString(36)

  const destination = (name: ServerName): Destination => {
    let found = known.get(name)
    if (found === undefined) {
      found = {
        name,
        rooms: new Map(),
        lastEdu: 0,
        acknowledged: 0,
        coalesced: new Map(),
        volatile: [],
        sending: false,
        again: false,
        failures: 0,
        cancelRetry: undefined,
      }
      known.set(name, found)
    }
    return found
  }

  const load = async (): Promise<void> => {
    known.clear()
    newest.clear()
    for (const [[name, roomId], record] of await cursors.list(deps.store, [])) {
      destination(name).rooms.set(roomId, record)
      if (newest.has(roomId)) continue
      const [last] = await sent.list(deps.store, [roomId], { limit: 1, reverse: true })
      newest.set(roomId, last?.[0][1] ?? 0)
    }
    for (const [[name], sequence] of await acknowledged.list(deps.store, []))
      destination(name).acknowledged = sequence
    for (const [[name, key]] of await edus.list(deps.store, [])) {
      destination(name).lastEdu = key
      nextEdu = Math.max(nextEdu, key + 1)
    }
  }

  deps.committer.onCommit((position) => {
    const ready = pending.filter((entry) => entry.position <= position)
    pending = pending.filter((entry) => entry.position > position)
    for (const { apply } of ready) apply()
  })
  deps.committer.onFailure(() => {
    pending = []
  })

  const later = (position: number, apply: () => void): void => {
    pending.push({ position, apply })
  }

  // --- Which servers get the own events of a room ---

  const setCursor = (name: ServerName, roomId: RoomId, position: number, record: CursorRecord): Write => {
    later(position, () => destination(name).rooms.set(roomId, record))
    return cursors.put([name, roomId], record)
  }

  const noteSent = (roomId: RoomId, position: number, id: EventId): Write => {
    later(position, () => {
      newest.set(roomId, position)
      const receivers = [...known.values()].filter(({ rooms }) => rooms.has(roomId))
      announce(roomId, id, position)
      kick(receivers.map(({ name }) => name))
    })
    return sent.put([roomId, position], id)
  }

  const destinations: DestinationTracker = {
    changed(roomId, position, { joined, left, distributed }) {
      const writes = joined.map((name) =>
        setCursor(name, roomId, position, { start: position, cursor: position }),
      )
      for (const name of left) {
        const record = known.get(name)?.rooms.get(roomId)
        if (record !== undefined)
          writes.push(setCursor(name, roomId, position, { ...record, until: position }))
      }
      if (distributed !== undefined) writes.push(noteSent(roomId, position, distributed))
      return writes
    },
    joinedRoom(roomId, position, { resident, others, join }) {
      const before = position - 1
      return [
        setCursor(resident, roomId, position, { start: position, cursor: position }),
        ...others.map((name) => setCursor(name, roomId, position, { start: before, cursor: before })),
        noteSent(roomId, position, join),
      ]
    },
  }

  // --- Deliveries ---

  const deliveryOf = (roomId: RoomId, eventId: EventId, position: number): Delivery => {
    const receivers = [...known.values()].flatMap(({ rooms }) => {
      const record = rooms.get(roomId)
      return record !== undefined && isReceiver(record, position) ? [record] : []
    })
    const delivered = receivers.filter(({ cursor }) => cursor >= position).length
    return { eventId, roomId, delivered, members: receivers.length }
  }

  const announce = (roomId: RoomId, eventId: EventId, position: number): void => {
    if (watchers.size === 0) return
    const delivery = deliveryOf(roomId, eventId, position)
    for (const watcher of watchers) watcher(delivery)
  }

  // --- Sending ---

  const kick = (names: readonly ServerName[], appeared = false): void => {
    if (closed) return
    for (const name of names) {
      const target = known.get(name)
      if (target === undefined) continue
      if (appeared) target.failures = 0
      if (target.failures > 0) continue
      target.cancelRetry?.()
      target.cancelRetry = undefined
      start(target)
    }
  }

  const start = (target: Destination): void => {
    if (target.sending) {
      target.again = true
      return
    }
    target.sending = true
    const run = sendAll(target).finally(() => {
      target.sending = false
      running.delete(run)
      if (target.again && target.failures === 0 && !closed) {
        target.again = false
        start(target)
      }
    })
    running.add(run)
  }

  const sendAll = async (target: Destination): Promise<void> => {
    for (;;) {
      target.again = false
      try {
        if (!(await sendOne(target))) return
        target.failures = 0
      } catch (error) {
        backOff(target, error)
        return
      }
      if (closed) return
    }
  }

  const backOff = (target: Destination, error: unknown): void => {
    const ceiling = Math.min(FIRST_BACKOFF_MS * 2 ** target.failures, LAST_BACKOFF_MS)
    target.failures += 1
    target.volatile = []
    if (closed) return
    // Full jitter, so that a thousand nodes that lost the same peer do not return at once.
    const [high = 0, low = 0] = deps.random.bytes(2)
    const pause = Math.ceil(ceiling * ((high * 256 + low + 1) / 65_536))
    deps.log.log('debug', 'a destination cannot be reached', {
      destination: target.name,
      pause,
      error: String(error),
    })
    target.cancelRetry = deps.clock.after(pause, () => {
      target.cancelRetry = undefined
      start(target)
    })
  }

  /** One transaction. False when nothing waits. */
  const sendOne = async (target: Destination): Promise<boolean> => {
    const { pdus, cursors: reached } = await collectPdus(target)
    const durable =
      target.lastEdu === 0
        ? []
        : await edus.list(deps.store, [target.name], { limit: MAX_TRANSACTION_EDUS / 2 })
    const loose = takeLoose(target, MAX_TRANSACTION_EDUS - durable.length)
    if (pdus.length === 0 && durable.length === 0 && loose.edus.length === 0) return false
    const id = `${transactionPrefix}-${nextTransaction++}`
    const ordered =
      durable.length === 0
        ? {}
        : { sequence: target.acknowledged + durable.length, acknowledged: target.acknowledged }
    let answer: Awaited<ReturnType<Federation['sendTransaction']>>
    try {
      answer = await deps.federation.sendTransaction(
        target.name,
        {
          txnId: id,
          pdus,
          edus: [...durable.map(([, edu]) => edu as JsonObject), ...loose.edus],
          ...ordered,
        },
        { timeoutMs: TRANSACTION_TIMEOUT_MS },
      )
    } catch (error) {
      loose.restore()
      throw error
    }
    for (const [eventId, { error }] of Object.entries(answer.pdus)) {
      if (error !== undefined) {
        deps.log.log('warn', 'a destination refused an event', { destination: target.name, eventId, error })
      }
    }
    const done = await noteAnswer(target, reached, durable, answer.committed)
    // A destination that took less than it was given is not asked again at once.
    if (!done) throw new Error('the destination did not take all durable EDUs')
    return true
  }

  const collectPdus = async (
    target: Destination,
  ): Promise<{ pdus: readonly JsonObject[]; cursors: ReadonlyMap<RoomId, number> }> => {
    const found: { roomId: RoomId; top: number; rows: readonly (readonly [number, EventId])[] }[] = []
    for (const [roomId, record] of target.rooms) {
      const top = Math.min(newest.get(roomId) ?? 0, record.until ?? Number.MAX_SAFE_INTEGER)
      if (top <= record.cursor) continue
      const limit = MAX_TRANSACTION_PDUS
      const rows = await sent.range(deps.store, [roomId], record.cursor + 1, top + 1, { limit })
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
    const records = await eventTable.getMany(
      deps.store,
      chosen.map(([, id]) => [id] as const),
    )
    return {
      pdus: records.flatMap((record): JsonObject[] => (record === undefined ? [] : [record.pdu])),
      cursors: reached,
    }
  }

  const takeLoose = (target: Destination, limit: number): { edus: JsonObject[]; restore: () => void } => {
    const receipts = [...target.coalesced].slice(0, limit)
    for (const [key] of receipts) target.coalesced.delete(key)
    const typing = target.volatile.slice(0, limit - receipts.length)
    target.volatile = []
    return {
      edus: [...receipts.map(([, edu]) => edu as JsonObject), ...(typing as JsonObject[])],
      restore: () => {
        for (const [key, edu] of receipts) if (!target.coalesced.has(key)) target.coalesced.set(key, edu)
      },
    }
  }

  /** Commits what a destination has; true when it took all that it was given. */
  const noteAnswer = async (
    target: Destination,
    reached: ReadonlyMap<RoomId, number>,
    durable: readonly (readonly [readonly [ServerName, number], Edu])[],
    committed: number | undefined,
  ): Promise<boolean> => {
    // A server that keeps no sequence (not a Plexus node) has what it answered 200 to.
    const taken =
      committed === undefined ? durable.length : Math.min(committed - target.acknowledged, durable.length)
    const rows = durable.slice(0, Math.max(taken, 0))
    const sequence = target.acknowledged + rows.length
    const last = rows.at(-1)?.[0][1]
    const writes = rows.map(([key]) => edus.delete(key))
    if (rows.length > 0) writes.push(acknowledged.put([target.name], sequence))
    await noteCursors(target, reached, writes)
    target.acknowledged = sequence
    if (last !== undefined && last >= target.lastEdu) target.lastEdu = 0
    return rows.length === durable.length
  }

  const noteCursors = async (
    target: Destination,
    reached: ReadonlyMap<RoomId, number>,
    writes: readonly Write[],
  ): Promise<void> => {
    const moved: { roomId: RoomId; from: number; to: number }[] = []
    await deps.committer.submit({
      // A room may have been joined or left meanwhile: the row is made of what is true at the commit.
      writes: () => [
        ...writes,
        ...[...reached].flatMap(([roomId, position]) => {
          const record = target.rooms.get(roomId)
          if (record === undefined || record.cursor >= position) return []
          moved.push({ roomId, from: record.cursor, to: position })
          const next = { ...record, cursor: position }
          target.rooms.set(roomId, next)
          return [cursors.put([target.name, roomId], next)]
        }),
      ],
    })
    if (watchers.size === 0) return
    for (const { roomId, from, to } of moved) {
      const rows = await sent.range(deps.store, [roomId], from + 1, to + 1, { limit: MAX_COUNTED_WAITING })
      for (const [[, position], id] of rows) announce(roomId, id, position)
    }
  }

  const outbox: Outbox = {
    queueDurable(name, edu) {
      const key = nextEdu++
      const target = destination(name)
      later(deps.committer.committed + 1, () => {
        target.lastEdu = Math.max(target.lastEdu, key)
        kick([name])
      })
      return [edus.put([name, key], edu)]
    },
    sendCoalesced(name, key, edu) {
      const { coalesced } = destination(name)
      coalesced.delete(key)
      coalesced.set(key, edu)
      const [oldest] = coalesced.keys()
      if (coalesced.size > MAX_COALESCED_EDUS && oldest !== undefined) coalesced.delete(oldest)
      kick([name])
    },
    sendVolatile(name, edu) {
      const target = known.get(name)
      if (target === undefined || target.failures > 0) return
      target.volatile = [...target.volatile, edu].slice(-MAX_VOLATILE_EDUS)
      kick([name])
    },
    kick,
    async delivery(roomId, eventId) {
      const record = await eventTable.get(deps.store, [eventId])
      const isOwn = record?.roomId === roomId && serverOf(record.pdu.sender) === deps.ownName
      return isOwn && record.order !== undefined ? deliveryOf(roomId, eventId, record.order) : undefined
    },
    watch(listener) {
      watchers.add(listener)
      return () => watchers.delete(listener)
    },
    async waiting() {
      let count = 0
      for (const [roomId, top] of newest) {
        const receivers = [...known.values()].flatMap(({ rooms }) => rooms.get(roomId) ?? [])
        if (receivers.length === 0) continue
        const furthest = Math.max(...receivers.map(({ cursor }) => cursor))
        if (top <= furthest) continue
        count += (
          await sent.range(deps.store, [roomId], furthest + 1, top + 1, { limit: MAX_COUNTED_WAITING })
        ).length
      }
      return count
    },
  }

  await load()
  return {
    outbox,
    destinations,
    resume: () => kick([...known.keys()]),
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
    close() {
      closed = true
      for (const target of known.values()) target.cancelRetry?.()
    },
  }
}

/** True when an own event at `position` is for this destination. */
function isReceiver(record: CursorRecord, position: number): boolean {
  return record.start < position && (record.until === undefined || position <= record.until)
}
