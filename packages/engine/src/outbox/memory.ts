/** What the outbox keeps in memory of its tables: which destinations there are and how far each has got. */
import type { RoomId, ServerName } from '@plexus/core'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'
import type { Edu } from '../outbox-types.ts'
import type { Store } from '../ports.ts'
import { cursors, sent } from '../rooms/records.ts'
import type { CursorRecord } from '../rooms/records.ts'

/** spec: server-server-api.md PUT /send: at most 50 PDUs and 100 EDUs */
export const MAX_TRANSACTION_PDUS = 50
/** Receipts that wait for one destination; the oldest goes first. */
export const MAX_COALESCED_EDUS = 500

/** Durable EDUs by destination, in commit order. */
export const edus: Table<readonly [ServerName, number], Edu> = table('edu', ['s', 'n'])
/** The sequence that a destination has acknowledged. */
export const acknowledged: Table<readonly [ServerName], number> = table('edu-ack', ['s'])

export type Destination = {
  readonly name: ServerName
  readonly rooms: Map<RoomId, CursorRecord>
  /** The last key of a durable EDU that waits, 0 for none. */
  lastEdu: number
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
  cancelRetry: (() => void) | undefined
  /** Events and durable EDUs of the next transaction: fewer after one that the destination could not take. */
  batch: number
  /** How often a transaction of one event or EDU was refused. */
  refusals: number
}

export interface OutboxMemory {
  readonly destinations: ReadonlyMap<ServerName, Destination>
  /** The position of the newest own event of each room. */
  readonly newest: Map<RoomId, number>
  /** The destination, made when it is new. */
  destination(name: ServerName): Destination
  destinationsOf(roomId: RoomId): readonly Destination[]
  nextEduKey(): number
}

export async function loadOutboxMemory(store: Store): Promise<OutboxMemory> {
  const destinations = new Map<ServerName, Destination>()
  const newest = new Map<RoomId, number>()
  let nextEdu = 1

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
  for (const [[name, key]] of await edus.list(store, [])) {
    destination(name).lastEdu = key
    nextEdu = Math.max(nextEdu, key + 1)
  }
  return {
    destinations,
    newest,
    destination,
    destinationsOf: (roomId) => [...destinations.values()].filter(({ rooms }) => rooms.has(roomId)),
    nextEduKey: () => nextEdu++,
  }
}

function newDestination(name: ServerName): Destination {
  return {
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
    batch: MAX_TRANSACTION_PDUS,
    refusals: 0,
  }
}
