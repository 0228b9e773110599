/** What the rooms endpoints need of the engine. */
import type { ServerName } from '@plexus/core'
import type { Rooms } from '@plexus/engine'
import type { Clock, Log } from '@plexus/engine/ports'

export interface RoomServices {
  readonly serverName: ServerName
  readonly clock: Clock
  readonly log: Log
  readonly rooms: Rooms
}
