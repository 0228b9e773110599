/**
 * GET /_matrix/federation/v1/timestamp_to_event/{roomId}.
 * spec: v1.19 server-server-api.md#get_matrixfederationv1timestamp_to_eventroomid
 */
import type { EventId, RoomId } from '@plexus/core'
import * as v from 'valibot'
import { uriOf, type Call } from '../call.ts'
import { pathOf, queryOf, type Endpoint } from '../request.ts'
import { countText, eventId, roomId, type Schema } from '../schema.ts'
import { openRoomOfMember, type Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/timestamp_to_event/{roomId}'

const direction: Schema<'f' | 'b'> = v.picklist(['f', 'b'])

export const timestampToEvent: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const ts = Number(queryOf(request, 'ts', countText))
    const dir = queryOf(request, 'dir', direction)
    await openRoomOfMember(services, room, request.origin)
    const found = await services.rooms.eventAtTimeFor(request.origin, room, ts, dir)
    return { json: { event_id: found.id, origin_server_ts: found.sentAt } }
  },
}

const answer = v.pipe(
  v.object({ event_id: eventId, origin_server_ts: v.pipe(v.number(), v.safeInteger()) }),
  v.transform(({ event_id: id, origin_server_ts: sentAt }) => ({ eventId: id, sentAt })),
)

export function timestampToEventCall(
  room: RoomId,
  ts: number,
  dir: 'f' | 'b',
): Call<{ eventId: EventId; sentAt: number }> {
  return {
    method: 'GET',
    uri: uriOf(PATH, { roomId: room }, [
      ['ts', String(ts)],
      ['dir', dir],
    ]),
    answer,
  }
}
