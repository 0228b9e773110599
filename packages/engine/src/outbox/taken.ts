/**
 * Word of what came by gossip: a server tells the one that made events, a little later and in one message for many, which
 * of them it has whole (`plexus.taken_events`). The newest alone would not do: it may follow others through an event that two
 * members keep from everybody, or one of them may have come without its content.
 */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import type { Clock, Log, Random, Taken } from '../ports.ts'
import { isStripped } from '../rooms/copy.ts'
import type { AcceptedEvent } from '../rooms/room.ts'
import type { EventRecord, Rooms } from '../rooms/types.ts'
import type { FanOut } from './fan-out.ts'
import { MAX_TOLD_ROOMS } from './heads.ts'
import type { Destination, OutboxMemory } from './memory.ts'
import { noteTaken, type TransactionDeps } from './transaction.ts'

/** Events of one server in one room that wait to be told, as many as others pass on for it: what is over it sends itself. */
export const MAX_TAKEN = 200

export type TakenEventsDeps = Pick<TransactionDeps, 'committer' | 'cursors' | 'deliveries'> & {
  readonly memory: OutboxMemory
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly rooms: () => Pick<Rooms, 'events'>
  readonly fanOut: Pick<FanOut, 'spreads' | 'takenMs'>
  readonly kick: (names: readonly ServerName[]) => void
}

export interface TakenEvents {
  /** An event of another server was committed. */
  accepted(roomId: RoomId, event: AcceptedEvent): void
  /** What a transaction to the destination carries, and no other: what is lost with it the destination sends itself. */
  takeOut(target: Destination): Promise<Taken | undefined>
  /** The server tells what it has of our events. */
  heard(server: ServerName, taken: Taken): void
  close(): void
}

export function createTakenEvents(deps: TakenEventsDeps): TakenEvents {
  const { memory, clock } = deps
  const timers = new Map<RoomId, () => void>()
  let closed = false

  /** From the first event on, so that a busy room's servers hear in time too; by chance, so that not all tell at once. */
  const schedule = (roomId: RoomId): void => {
    if (closed || timers.has(roomId)) return
    const [chance = 0] = deps.random.bytes(1)
    const cancel = clock.after(Math.ceil((deps.fanOut.takenMs(roomId) * (chance + 1)) / 256), () => {
      timers.delete(roomId)
      const due = memory
        .destinationsOf(roomId)
        .filter(({ taken, failures }) => taken.has(roomId) && failures === 0)
      for (const target of due) target.isTakenDue = true
      deps.kick(due.map(({ name }) => name))
    })
    timers.set(roomId, cancel)
  }

  /** As far as own events that it has follow on what it had. */
  const note = async (server: ServerName, taken: Taken): Promise<void> => {
    const target = memory.destinations.get(server)
    if (target === undefined) return
    const reached = new Map<RoomId, number>()
    for (const [roomId, ids] of entriesOf(taken)) {
      const cursor = target.rooms.get(roomId)?.cursor
      if (cursor === undefined) continue
      const told = new Set(ids)
      const newest = memory.newest.get(roomId) ?? 0
      for (const [position, id] of await memory.sentBetween(roomId, cursor, newest, told.size)) {
        if (!told.has(id)) break
        reached.set(roomId, position)
      }
    }
    if (reached.size > 0) await noteTaken(deps, target, { reached, rows: [] })
  }

  return {
    accepted(roomId, { id, server }) {
      const target = memory.destinations.get(server)
      // Who is out of reach will send them itself, if it reaches this node.
      if (target?.isKeyName !== true || target.failures > 0) return
      if (!deps.fanOut.spreads(roomId)) return
      const ids = target.taken.get(roomId) ?? []
      if (ids.length < MAX_TAKEN) target.taken.set(roomId, [...ids, id])
      schedule(roomId)
    },
    async takeOut({ taken }) {
      const told: [RoomId, readonly EventId[]][] = []
      for (const [roomId, ids] of [...taken].slice(0, MAX_TOLD_ROOMS)) {
        taken.delete(roomId)
        const records = await deps.rooms().events(ids)
        const whole = ids.filter((_, index) => isWhole(records[index]))
        if (whole.length > 0) told.push([roomId, whole])
      }
      return told.length === 0 ? undefined : (Object.fromEntries(told) as Taken)
    },
    heard(server, taken) {
      note(server, taken).catch((error: unknown) =>
        deps.log.log('error', 'what a server took was not noted', { server, error: String(error) }),
      )
    },
    close() {
      closed = true
      for (const cancel of timers.values()) cancel()
    },
  }
}

function isWhole(record: EventRecord | undefined): boolean {
  return record !== undefined && !isStripped(record)
}

function entriesOf(taken: Taken): readonly (readonly [RoomId, readonly EventId[]])[] {
  return Object.entries(taken) as unknown as readonly (readonly [RoomId, readonly EventId[]])[]
}
