/** GET /_matrix/federation/v1/state/{roomId}. spec: v1.19 server-server-api.md#get_matrixfederationv1stateroomid */
import type { EventId, JsonObject, RoomId } from '@plexus/core'
import * as v from 'valibot'
import { LONG_TIMEOUT_MS, MAX_STATE_ANSWER_BYTES } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { pathOf, queryOf, type Endpoint } from '../request.ts'
import { eventId, roomId, stateEvents } from '../schema.ts'
import { openRoomOfMember, type Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/state/{roomId}'

export const state: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const id = queryOf(request, 'event_id', eventId)
    await openRoomOfMember(services, room, request.origin)
    const found = await services.rooms.stateFor(request.origin, room, id)
    return { json: { pdus: found.state, auth_chain: found.authChain } }
  },
}

const answer = v.pipe(
  v.object({ pdus: stateEvents, auth_chain: stateEvents }),
  v.transform(({ pdus, auth_chain: authChain }) => ({ pdus, authChain })),
)

export function stateCall(
  room: RoomId,
  id: EventId,
): Call<{ pdus: readonly JsonObject[]; authChain: readonly JsonObject[] }> {
  return {
    method: 'GET',
    uri: uriOf(PATH, { roomId: room }, [['event_id', id]]),
    answer,
    holdsEvents: true,
    maxBytes: MAX_STATE_ANSWER_BYTES,
    timeoutMs: LONG_TIMEOUT_MS,
  }
}
