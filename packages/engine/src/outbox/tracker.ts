/** Which servers get the own events of a room: rows that are committed with the events that change them. */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import type { Write } from '../ports.ts'
import { cursors, sent } from '../rooms/records.ts'
import type { CursorRecord } from '../rooms/records.ts'
import type { DestinationTracker } from '../rooms/room.ts'
import type { AfterCommit } from './after-commit.ts'
import type { Deliveries } from './deliveries.ts'
import type { OutboxMemory } from './memory.ts'

export function createTracker(deps: {
  memory: OutboxMemory
  afterCommit: AfterCommit
  deliveries: Deliveries
  kick: (names: readonly ServerName[]) => void
}): DestinationTracker {
  const { memory, afterCommit } = deps

  const setCursor = (name: ServerName, roomId: RoomId, position: number, record: CursorRecord): Write => {
    afterCommit.run(position, () => memory.destination(name).rooms.set(roomId, record))
    return cursors.put([name, roomId], record)
  }

  const noteSent = (roomId: RoomId, position: number, id: EventId): Write => {
    afterCommit.run(position, () => {
      memory.newest.set(roomId, position)
      deps.deliveries.announce(roomId, id, position)
      deps.kick(memory.destinationsOf(roomId).map(({ name }) => name))
    })
    return sent.put([roomId, position], id)
  }

  return {
    changed(roomId, position, { joined, left, distributed }) {
      const writes = joined.map((name) =>
        setCursor(name, roomId, position, { start: position, cursor: position }),
      )
      for (const name of left) {
        const record = memory.destinations.get(name)?.rooms.get(roomId)
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
}
