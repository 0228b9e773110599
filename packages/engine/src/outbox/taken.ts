/**
 * Word of what came by gossip: a server tells the one that made events, a little later and in one message for many, which
 * is the newest that it has (`plexus.taken`). Own events of a server follow each other, and nobody places an event before
 * what it follows, so the newest stands for all, once none of them lacks its content.
 */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import type { Clock, Log, Random, Taken } from '../ports.ts'
import { isStripped } from '../rooms/copy.ts'
import type { AcceptedEvent } from '../rooms/room.ts'
import type { EventRecord, Rooms } from '../rooms/types.ts'
import type { FanOut } from './fan-out.ts'
import { MAX_TOLD_ROOMS } from './heads.ts'
import type { Destination, OutboxMemory } from './memory.ts'
import { noteTaken, type TransactionDeps } from './transaction.ts'

/** Events without content that are remembered of one server in one room: it sends all again, the oldest first. */
const MAX_STRIPPED = 20

export type TakenEventsDeps = Pick<TransactionDeps, 'committer' | 'cursors' | 'deliveries'> & {
  readonly memory: OutboxMemory
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly ownName: ServerName
  readonly rooms: () => Pick<Rooms, 'events' | 'snapshot'>
  readonly fanOut: Pick<FanOut, 'spreads' | 'takenMs'>
  readonly kick: (names: readonly ServerName[]) => void
}

export interface TakenEvents {
  /** An event of another server was committed. */
  accepted(roomId: RoomId, event: AcceptedEvent): void
  /** What a transaction to the destination carries. */
  tell(target: Destination): Promise<Taken | undefined>
  /** The destination has been told. */
  told(target: Destination, taken: Taken): void
  /** The server tells what it has of our events. */
  heard(server: ServerName, taken: Taken): void
  close(): void
}

export function createTakenEvents(deps: TakenEventsDeps): TakenEvents {
  const { memory, clock, ownName } = deps
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

  /** All of it is here: nothing that it follows is missing, and no content of what its server made before it. */
  const isWhole = async ({ stripped }: Destination, roomId: RoomId, id: EventId): Promise<boolean> => {
    const snapshot = await deps.rooms().snapshot(roomId)
    const known = stripped.get(roomId) ?? []
    const records = await deps.rooms().events([id, ...known])
    const open = known.filter((_, index) => isLacking(records[index + 1]))
    if (open.length > 0) stripped.set(roomId, open)
    else stripped.delete(roomId)
    return snapshot?.holes.length === 0 && open.length === 0 && !isLacking(records[0])
  }

  const note = async (server: ServerName, taken: Taken): Promise<void> => {
    const reached = new Map<RoomId, number>()
    const target = memory.destinations.get(server)
    for (const [roomId, id] of entriesOf(taken).slice(0, MAX_TOLD_ROOMS)) {
      const [record] = await deps.rooms().events([id])
      const snapshot = await deps.rooms().snapshot(roomId)
      const cursor = target?.rooms.get(roomId)?.cursor
      const isOwn = record?.roomId === roomId && serverOf(record.pdu.sender) === ownName
      if (!isOwn || record.order === undefined || snapshot === undefined || cursor === undefined) continue
      // What was made in an earlier stay is not followed by what was made in this one.
      if (cursor >= snapshot.since && cursor < record.order) reached.set(roomId, record.order)
    }
    if (target !== undefined && reached.size > 0) await noteTaken(deps, target, { reached, rows: [] })
  }

  return {
    accepted(roomId, { id, server, isStripped: isOpen }) {
      const target = memory.destinations.get(server)
      if (target?.isKeyName !== true || !deps.fanOut.spreads(roomId)) return
      target.taken.set(roomId, id)
      if (isOpen === true)
        target.stripped.set(roomId, [...(target.stripped.get(roomId) ?? []), id].slice(-MAX_STRIPPED))
      schedule(roomId)
    },
    async tell(target) {
      const { taken } = target
      const told: [RoomId, EventId][] = []
      for (const [roomId, id] of taken) {
        if (told.length === MAX_TOLD_ROOMS) break
        if (await isWhole(target, roomId, id)) told.push([roomId, id])
        else taken.delete(roomId)
      }
      return told.length === 0 ? undefined : (Object.fromEntries(told) as Taken)
    },
    told(target, taken) {
      for (const [roomId, id] of entriesOf(taken))
        if (target.taken.get(roomId) === id) target.taken.delete(roomId)
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

function isLacking(record: EventRecord | undefined): boolean {
  return record === undefined || isStripped(record)
}

function entriesOf(taken: Taken): readonly (readonly [RoomId, EventId])[] {
  return Object.entries(taken) as unknown as readonly (readonly [RoomId, EventId])[]
}
