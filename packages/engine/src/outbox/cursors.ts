/**
 * How far each destination has got in the own events of each room. Memory follows the commits; who changes a row while
 * a commit is assembled starts from what the changes before it in that commit made of it.
 */
import type { RoomId, ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Write } from '../ports.ts'
import { cursors } from '../rooms/records.ts'
import type { CursorRecord } from '../rooms/records.ts'
import type { AfterCommit } from './after-commit.ts'
import type { OutboxMemory } from './memory.ts'

/** To be used inside `Change.writes` only. */
export interface Cursors {
  get(name: ServerName, roomId: RoomId): CursorRecord | undefined
  /** Answers with the write that keeps the row. */
  set(name: ServerName, roomId: RoomId, position: number, record: CursorRecord): Write
}

export function createCursors(deps: {
  memory: OutboxMemory
  afterCommit: AfterCommit
  committer: Committer
}): Cursors {
  const { memory, afterCommit } = deps
  /** Rows of the commit that is being assembled or written. */
  const uncommitted = new Map<string, CursorRecord>()
  const keyOf = (name: ServerName, roomId: RoomId): string => `${name} ${roomId}`
  deps.committer.onFailure(() => uncommitted.clear())
  return {
    get: (name, roomId) =>
      uncommitted.get(keyOf(name, roomId)) ?? memory.destinations.get(name)?.rooms.get(roomId),
    set(name, roomId, position, record) {
      const key = keyOf(name, roomId)
      uncommitted.set(key, record)
      afterCommit.run(position, () => {
        memory.destination(name).rooms.set(roomId, record)
        if (uncommitted.get(key) === record) uncommitted.delete(key)
      })
      return cursors.put([name, roomId], record)
    },
  }
}
