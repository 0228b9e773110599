/** Which servers get the own events of a room: rows that are committed with the events that change them. */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import type { Write } from '../ports.ts'
import { sent, type CursorRecord } from '../rooms/records.ts'
import type { AcceptedEvent, DestinationTracker } from '../rooms/room.ts'
import type { AfterCommit } from './after-commit.ts'
import type { Cursors } from './cursors.ts'
import type { Deliveries } from './deliveries.ts'
import type { FanOut } from './fan-out.ts'
import type { HeadExchange } from './heads.ts'
import type { OutboxMemory } from './memory.ts'
import type { TakenEvents } from './taken.ts'

export function createTracker(deps: {
  ownName: ServerName
  memory: OutboxMemory
  afterCommit: AfterCommit
  cursors: Cursors
  deliveries: Deliveries
  heads: Pick<HeadExchange, 'changed'>
  fanOut: Pick<FanOut, 'spreads' | 'sent' | 'accepted'>
  taken: Pick<TakenEvents, 'accepted'>
  kick: (names: readonly ServerName[]) => void
}): DestinationTracker {
  const { memory, afterCommit, cursors } = deps

  /** Nothing after `position` is for this destination any more. */
  const end = (name: ServerName, roomId: RoomId, position: number, until: number): readonly Write[] => {
    const record = cursors.get(name, roomId)
    return record === undefined || record.until !== undefined
      ? []
      : [cursors.set(name, roomId, position, { ...record, until })]
  }

  /** The event at `position` is for this destination too, after what was before. */
  const extend = (name: ServerName, roomId: RoomId, position: number): readonly Write[] => {
    const { until, ...known } = cursors.get(name, roomId) ?? {
      start: position - 1,
      cursor: position - 1,
      until: 0,
    }
    return until === undefined ? [] : [cursors.set(name, roomId, position, { ...known, until: position })]
  }

  /** The event at `position` is for this destination, unless something of an earlier stay still is. */
  const visit = (name: ServerName, roomId: RoomId, position: number): readonly Write[] => {
    const known = cursors.get(name, roomId)
    if (known !== undefined && (known.until === undefined || known.cursor < known.until)) return []
    const before = position - 1
    return [cursors.set(name, roomId, position, { start: before, cursor: before, until: position })]
  }

  const noteSent = (roomId: RoomId, position: number, id: EventId): Write => {
    afterCommit.run(position, () => {
      memory.noteSent(roomId, position, id)
      deps.deliveries.announce(roomId, id, position)
      deps.fanOut.sent(roomId, position, id)
    })
    return sent.put([roomId, position], id)
  }

  /**
   * A member's own server brings it to all others by itself: that of a new member too, which is told whom by this node. In a
   * larger room it has no need of this node for that.
   */
  const isOfMember = (roomId: RoomId, { server }: AcceptedEvent, joined: readonly ServerName[]): boolean => {
    const record = cursors.get(server, roomId)
    const isMember = joined.includes(server) || (record !== undefined && record.until === undefined)
    return isMember && isKeyName(server) && deps.fanOut.spreads(roomId)
  }

  return {
    changed(
      roomId,
      position,
      { joined, left, unproven, event, distributed, outsider, invited, found, late },
    ) {
      const startOf = (name: ServerName): CursorRecord => {
        if (found?.servers.has(name) === true) return { start: found.since, cursor: found.since }
        const known = cursors.get(name, roomId)
        // What went to it before it joined, and has not arrived, still does, but nothing that was said while it was away.
        const isForIt = (known?.until ?? 0) >= (memory.newest.get(roomId) ?? 0)
        if (known?.until !== undefined && known.cursor < known.until && isForIt)
          return { start: known.start, cursor: known.cursor }
        const isLate = late !== undefined && late.server === name
        const start = isLate ? Math.max(late.since, memory.recentSince(roomId) ?? position) : position
        return { start, cursor: start }
      }
      const started = joined.map((name) => cursors.set(name, roomId, position, startOf(name)))
      // After the cursors are in memory.
      afterCommit.run(position, () => {
        deps.heads.changed(roomId)
        if (event !== undefined && event.server !== deps.ownName) {
          deps.fanOut.accepted(roomId, event)
          deps.taken.accepted(roomId, event)
        }
        deps.kick([...(found?.servers ?? []), ...(late === undefined ? [] : [late.server])])
      })
      return [
        ...started,
        ...left.flatMap((name) => end(name, roomId, position, unproven?.has(name) === true ? 0 : position)),
        ...(outsider === undefined ? [] : visit(outsider, roomId, position)),
        ...(invited ?? []).flatMap((name) => extend(name, roomId, position)),
        ...(distributed === undefined || (event !== undefined && isOfMember(roomId, event, joined))
          ? []
          : [noteSent(roomId, position, distributed)]),
      ]
    },
    joinedRoom(roomId, position, { resident, others, join }) {
      const before = position - 1
      const present = new Set(resident === undefined ? others : [resident, ...others])
      afterCommit.run(position, () => deps.heads.changed(roomId))
      // Own events of an earlier stay that have not arrived yet still go.
      const left = (name: ServerName): CursorRecord | undefined => {
        const record = cursors.get(name, roomId)
        const isBehind = record !== undefined && record.cursor < (memory.newest.get(roomId) ?? 0)
        return isBehind && record.until === undefined ? record : undefined
      }
      const gone = memory.destinationsOf(roomId).filter(({ name }) => !present.has(name))
      return [
        // Of an earlier stay: they left while this node was away.
        ...gone.flatMap(({ name }) => end(name, roomId, position, before)),
        ...(resident === undefined
          ? []
          : [
              cursors.set(
                resident,
                roomId,
                position,
                left(resident) ?? { start: position, cursor: position },
              ),
            ]),
        ...others.map((name) =>
          cursors.set(name, roomId, position, left(name) ?? { start: before, cursor: before }),
        ),
        noteSent(roomId, position, join),
      ]
    },
  }
}
