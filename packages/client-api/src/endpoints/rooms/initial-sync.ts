// GET /_matrix/client/v3/initialSync https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync
import { isJsonObject } from '@plexus/core'
import type { JsonObject, JsonValue, RoomId } from '@plexus/core'
import { NO_SYNC_FILTER, parseSyncFilter } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { queryBoolean } from '../../schemas.ts'
import type { ApiEngine } from '../../services.ts'
import { pageLimit } from './common.ts'
import { eventsOf, idsOf, inRoom, inviteEvents, roomsOf } from './old-sync-common.ts'

/** What clients from before `/sync` begin with; told by means of it. */
export const initialSync: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/initialSync',
  auth: 'user',
  querySchema: v.object({ limit: pageLimit, archived: v.optional(queryBoolean, 'false') }),
  async handler({ engine, requester, query, signal }) {
    const limit = Math.max(1, query.limit)
    const room = { include_leave: query.archived, timeline: { limit } }
    const synced = await engine.sync.sync({
      recipient: requester,
      filter: parseSyncFilter({ room }) ?? NO_SYNC_FILTER,
      fullState: false,
      stateKind: 'state_after',
      timeoutMs: 0,
      signal,
    })
    const sections = roomsOf(synced)
    const rooms: JsonObject[] = []
    for (const roomId of idsOf(sections.invite))
      for (const invite of await inviteEvents(engine, requester, roomId, sections.invite[roomId] ?? {}))
        rooms.push({ room_id: roomId, membership: 'invite', invite })
    for (const section of [sections.join, sections.leave])
      for (const roomId of idsOf(section)) {
        const row = await engine.rooms.membership(requester.userId, roomId)
        const messagesEnd = synced['next_batch'] ?? ''
        rooms.push(
          await roomOf(engine, roomId, row?.membership ?? 'leave', section[roomId] ?? {}, messagesEnd),
        )
      }
    return {
      end: synced['next_batch'],
      rooms,
      presence: eventsOf(synced, 'presence'),
      account_data: eventsOf(synced, 'account_data'),
    }
  },
})

async function roomOf(
  engine: ApiEngine,
  roomId: RoomId,
  membership: string,
  room: JsonObject,
  end: JsonValue,
): Promise<JsonObject> {
  const timeline = isJsonObject(room['timeline']) ? room['timeline'] : {}
  const isPublic = await engine.roomDirectory.isPublished(roomId)
  return {
    room_id: roomId,
    membership,
    messages: {
      chunk: inRoom(roomId, eventsOf(room, 'timeline')),
      end,
      ...(timeline['prev_batch'] === undefined ? {} : { start: timeline['prev_batch'] }),
    },
    state: inRoom(roomId, eventsOf(room, 'state_after')),
    visibility: isPublic ? 'public' : 'private',
    account_data: eventsOf(room, 'account_data'),
  }
}
