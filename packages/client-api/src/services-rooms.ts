/** What the framework and the rooms endpoints need of the engine. */
import type { ServerName } from '@plexus/core'
import type {
  Polls,
  Presence,
  ReadMarkers,
  Receipts,
  RoomDirectory,
  RoomReader,
  Rooms,
  SlidingSync,
  Sync,
  Typing,
} from '@plexus/engine'
import type { Clock, Log } from '@plexus/engine/ports'

export interface RoomServices {
  readonly serverName: ServerName
  readonly clock: Clock
  readonly log: Log
  readonly rooms: Rooms
  readonly sync: Sync
  readonly polls: Polls
  readonly slidingSync: SlidingSync
  readonly reader: RoomReader
  readonly receipts: Receipts
  readonly readMarkers: ReadMarkers
  readonly typing: Typing
  readonly presence: Presence
  readonly roomDirectory: RoomDirectory
}
