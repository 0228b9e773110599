/** The fully read marker. spec: client-server-api/modules/read_markers.md "Server behaviour" */
import type { Rooms } from '../rooms/types.ts'
import { RoomError } from '../rooms/types.ts'
import type { AccountData } from '../users/types.ts'
import { requireJoined } from './joined.ts'
import type { ReadMarkers } from './types.ts'

export function createReadMarkers(deps: {
  rooms: () => Rooms
  accountData: Pick<AccountData, 'set'>
}): ReadMarkers {
  return {
    async setFullyRead(userId, roomId, eventId) {
      await requireJoined(deps.rooms(), userId, roomId)
      const event = await deps.rooms().event(eventId)
      if (event?.roomId !== roomId) throw new RoomError('M_NOT_FOUND', 'there is no such event in this room')
      await deps.accountData.set(userId, roomId, 'm.fully_read', { event_id: eventId })
    },
  }
}
