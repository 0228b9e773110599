/**
 * What waits for the services: a row for each event and service, committed with the event, in the order of commits.
 *
 * Invariants:
 * 1. Whether a service is interested is decided when the event is committed, by who is in the room at that event.
 * 2. A row is deleted by the commit that notes that the service took it; numbers of one service only rise.
 */
import type { EventId, RoomId, UserId } from '@plexus/core'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'
import type { Log, Store, Write } from '../ports.ts'
import type { ServiceQueue } from '../rooms/room.ts'
import type { Interest } from './interest.ts'
import type { AppService } from './types.ts'

/** Rows of one service. One that is away while a million events come is not coming back for them. */
export const MAX_WAITING_EVENTS = 1_000_000

/** An event of a room, or an invite to one that this node is not in, which is kept with the membership. */
export type QueuedRow =
  | { readonly id: EventId }
  | {
      readonly id: EventId
      readonly invited: UserId
      readonly roomId: RoomId
      /** Milliseconds since the epoch. */
      readonly at: number
    }

export type Queued = readonly [number: number, row: QueuedRow]

/** Service, number. */
const queue: Table<readonly [string, number], QueuedRow> = table('service-queue', ['s', 'n'])
const ABOVE_ALL = 2 ** 51
export const QUEUE_MAP: string = queue.map

export interface WaitingEvents extends ServiceQueue {
  /** The oldest rows above a number. */
  after(service: AppService, number: number, limit: number): Promise<readonly Queued[]>
  /** The writes that delete the rows up to a number, and what is to be done when they are committed. */
  taken(
    service: AppService,
    upTo: number,
  ): Promise<{ readonly writes: readonly Write[]; readonly publish: () => void }>
}

export type QueueDeps = {
  readonly store: Store
  readonly interest: Interest
  readonly services: readonly AppService[]
  readonly log: Log
  readonly maxWaiting?: number
}

export async function createQueue(deps: QueueDeps): Promise<WaitingEvents> {
  const { store, interest, log, maxWaiting = MAX_WAITING_EVENTS } = deps
  const ends = new Map<AppService, { first: number; next: number; isFull: boolean }>()
  for (const service of deps.services) {
    const [first] = await queue.list(store, [service.id], { limit: 1 })
    const [last] = await queue.list(store, [service.id], { limit: 1, reverse: true })
    const next = (last?.[0][1] ?? 0) + 1
    ends.set(service, { first: first?.[0][1] ?? next, next, isFull: false })
  }

  const put = (service: AppService, row: QueuedRow): readonly Write[] => {
    const end = ends.get(service)
    if (end === undefined) return []
    if (end.next - end.first >= maxWaiting) {
      if (!end.isFull)
        log.log('error', 'events for an application service are dropped', { service: service.id })
      end.isFull = true
      return []
    }
    end.isFull = false
    const number = end.next
    end.next += 1
    return [queue.put([service.id, number], row)]
  }

  return {
    accepted({ id, roomId, pdu }, before, after) {
      if (ends.size === 0) return []
      const target = pdu.type === 'm.room.member' ? pdu.state_key : undefined
      const interested = new Set([
        ...interest.inRoom(roomId, before),
        ...interest.inRoom(roomId, after),
        ...interest.inUser(pdu.sender),
        ...(target === undefined ? [] : interest.inUser(target as UserId)),
      ])
      return [...interested].flatMap((service) => put(service, { id }))
    },
    invited: (id, roomId, invited, at) =>
      interest.inUser(invited).flatMap((service) => put(service, { id, roomId, invited, at })),
    async after(service, number, limit) {
      const rows = await queue.range(store, [service.id], number + 1, ABOVE_ALL, { limit })
      return rows.map(([[, at], row]) => [at, row])
    },
    async taken(service, upTo) {
      const rows = await queue.range(store, [service.id], 0, upTo + 1)
      return {
        writes: rows.map(([key]) => queue.delete(key)),
        publish() {
          const end = ends.get(service)
          if (end !== undefined) end.first = Math.max(end.first, upTo + 1)
        },
      }
    },
  }
}
