/** What the outbox keeps in memory of its tables: which destinations there are and how far each has got. */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'
import type { Edu } from '../outbox-types.ts'
import type { MailLane, Received, Store } from '../ports.ts'
import type { Forward } from './fan-out.ts'
import { mails, type MailRow } from '../mail/tables.ts'
import { cursors, sent } from '../rooms/records.ts'
import type { CursorRecord } from '../rooms/records.ts'
import { createOutboxRoom, type OutboxRoom } from './room.ts'

/** spec: server-server-api.md PUT /send: at most 50 PDUs and 100 EDUs */
export const MAX_TRANSACTION_PDUS = 50
/** Receipts that wait for one destination; the oldest goes first. */
export const MAX_COALESCED_EDUS = 500
/** Durable EDUs that are in memory while those that wait are counted. */
const COUNTED_AT_ONCE = 500

/** Durable EDUs by destination, in commit order. */
export const edus: Table<readonly [ServerName, number], Edu> = table('edu', ['s', 'n'])
/** Since when a destination that was long out of reach has been so, milliseconds since the epoch. */
export const away: Table<readonly [ServerName], number> = table('away', ['s'])
/** The sequence that a destination has acknowledged. */
export const acknowledged: Table<readonly [ServerName], number> = table('edu-ack', ['s'])

export type Destination = {
  readonly name: ServerName
  /** A Plexus server; others are stock ones. */
  readonly isKeyName: boolean
  readonly rooms: Map<RoomId, CursorRecord>
  /** The last key of a durable EDU that waits, 0 for none. */
  lastEdu: number
  /** Length of those that wait. */
  waitingLength: number
  /** There was no room for more since it had them all. */
  wasFull: boolean
  acknowledged: number
  /** Receipts: only the newest of each key matters. */
  readonly coalesced: Map<string, Edu>
  /** Typing notices. */
  volatile: Edu[]
  sending: boolean
  /** Something came while it was sending. */
  again: boolean
  /** Attempts that failed since the last success. */
  failures: number
  /** Since when it has been out of reach and was not heard from, milliseconds since the epoch. */
  awaySince: number | undefined
  /** The store says so. */
  isAwayKept: boolean
  /** It was heard from, or appeared, since the last failed attempt. */
  isUp: boolean
  /** Events of larger rooms that it is to get by gossip, oldest first. */
  readonly forwards: Map<EventId, Forward>
  /** How many events of it were passed on since a time, and their length. */
  readonly passed: { since: number; count: number; length: number }
  /** Events of it that were accepted, of each larger room, until it is told. */
  readonly taken: Map<RoomId, readonly EventId[]>
  /** A transaction is to go for what is taken alone. */
  isTakenDue: boolean
  cancelRetry: (() => void) | undefined
  /** When that is, milliseconds since the epoch. */
  retryAt: number
  /** Events and durable EDUs of the next transaction: fewer after one that the destination could not take. */
  batch: number
  /** How often a transaction of one event or EDU was refused. */
  refusals: number
  /** It is to hear of this process, also if nothing waits for it. */
  greet: boolean
  readonly mail: MailState
}

/** What waits for a destination at relays. */
export type MailState = {
  /** By transaction id, in the order in which they were left first. */
  readonly rows: Map<string, MailRow>
  /** What the destination tells of our mail, until it is worked off. */
  news: Received[]
  /** No relay took the last mail of these lanes: the next failed attempt to reach the destination tries again. */
  readonly stuck: Set<MailLane>
  /** Since when there have been such. */
  stuckSince: number | undefined
  /** When the newest mail was left that has arrived. */
  arrivedAt: number
}

/** What a destination tells of our mail that waits to be worked off: it tells the rest again. */
export const MAX_MAIL_NEWS = 64

export type SentRow = readonly [position: number, id: EventId]

/** Own events of a room that are kept in memory: a destination that is here needs no more. */
export const MAX_RECENT_EVENTS = 64

/** `rows` are all own events after `since`. */
type Recent = { since: number; rows: readonly SentRow[] }

export interface OutboxMemory {
  readonly destinations: ReadonlyMap<ServerName, Destination>
  /** The position of the newest own event of each room. */
  readonly newest: Map<RoomId, number>
  /** An own event was committed. */
  noteSent(roomId: RoomId, position: number, id: EventId): void
  /** The position after which all own events are in memory, `undefined` where none is. */
  recentSince(roomId: RoomId): number | undefined
  /** Own events with `from < position <= to`, oldest first, from memory where they are recent. */
  sentBetween(roomId: RoomId, from: number, to: number, limit: number): Promise<readonly SentRow[]>
  /** The destination, made when it is new. */
  destination(name: ServerName): Destination
  destinationsOf(roomId: RoomId): readonly Destination[]
  nextEduKey(): number
  readonly room: OutboxRoom
}

export async function loadOutboxMemory(store: Store, maxWaitingLength?: number): Promise<OutboxMemory> {
  const room = createOutboxRoom(maxWaitingLength)
  const destinations = new Map<ServerName, Destination>()
  const newest = new Map<RoomId, number>()
  const recent = new Map<RoomId, Recent>()
  let nextEdu = 1

  const noteSent = (roomId: RoomId, position: number, id: EventId): void => {
    const { since, rows } = recent.get(roomId) ?? { since: newest.get(roomId) ?? 0, rows: [] }
    const all = [...rows, [position, id] as const]
    const [oldest] = all
    const full = all.length > MAX_RECENT_EVENTS && oldest !== undefined
    recent.set(roomId, full ? { since: oldest[0], rows: all.slice(1) } : { since, rows: all })
    newest.set(roomId, position)
  }

  const sentBetween = async (
    roomId: RoomId,
    from: number,
    to: number,
    limit: number,
  ): Promise<readonly SentRow[]> => {
    const known = recent.get(roomId)
    if (known !== undefined && from >= known.since) {
      return known.rows.filter(([position]) => position > from && position <= to).slice(0, limit)
    }
    const rows = await sent.range(store, [roomId], from + 1, to + 1, { limit })
    return rows.map(([[, position], id]) => [position, id])
  }

  const destination = (name: ServerName): Destination => {
    let found = destinations.get(name)
    if (found === undefined) {
      found = newDestination(name)
      destinations.set(name, found)
    }
    return found
  }

  for (const [[name, roomId], record] of await cursors.list(store, [])) {
    destination(name).rooms.set(roomId, record)
    if (newest.has(roomId)) continue
    const [last] = await sent.list(store, [roomId], { limit: 1, reverse: true })
    newest.set(roomId, last?.[0][1] ?? 0)
  }
  for (const [[name], sequence] of await acknowledged.list(store, [])) {
    destination(name).acknowledged = sequence
  }
  for (const [[name], since] of await away.list(store, []))
    Object.assign(destination(name), { awaySince: since, isAwayKept: true })
  const left = (await mails.list(store, [])).toSorted(([, a], [, b]) => a.at - b.at)
  for (const [[name, txnId], row] of left) destination(name).mail.rows.set(txnId, row)
  for await (const [[name, key], text] of edus.texts(store, COUNTED_AT_ONCE)) {
    const target = destination(name)
    target.lastEdu = key
    room.add(target, text.length)
    nextEdu = Math.max(nextEdu, key + 1)
  }
  return {
    destinations,
    newest,
    noteSent,
    recentSince: (roomId) => recent.get(roomId)?.since,
    sentBetween,
    destination,
    destinationsOf: (roomId) => [...destinations.values()].filter(({ rooms }) => rooms.has(roomId)),
    nextEduKey: () => nextEdu++,
    room,
  }
}

/** As `OutboxRoom` counts. */
export function lengthOf(edu: Edu): number {
  return JSON.stringify(edu).length
}

function newDestination(name: ServerName): Destination {
  return {
    name,
    isKeyName: isKeyName(name),
    rooms: new Map(),
    lastEdu: 0,
    waitingLength: 0,
    wasFull: false,
    acknowledged: 0,
    coalesced: new Map(),
    volatile: [],
    sending: false,
    again: false,
    failures: 0,
    awaySince: undefined,
    isAwayKept: false,
    isUp: false,
    forwards: new Map(),
    passed: { since: 0, count: 0, length: 0 },
    taken: new Map(),
    isTakenDue: false,
    cancelRetry: undefined,
    retryAt: 0,
    batch: MAX_TRANSACTION_PDUS,
    refusals: 0,
    greet: false,
    mail: { rows: new Map(), news: [], stuck: new Set(), stuckSince: undefined, arrivedAt: 0 },
  }
}
