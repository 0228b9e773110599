/** GET /_matrix/federation/v1/state_ids/{roomId}. spec: v1.19 server-server-api.md#get_matrixfederationv1state_idsroomid */
import type { EventId, RoomId } from '@plexus/core'
import * as v from 'valibot'
import { LONG_TIMEOUT_MS, MAX_STATE_EVENTS, MAX_STATE_IDS_ANSWER_BYTES } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { DOUBT, doubtField, doubtIn } from '../doubt.ts'
import { pathOf, queryOf, type Endpoint } from '../request.ts'
import { eventId, listOf, roomId } from '../schema.ts'
import { openRoomOfMember, type Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/state_ids/{roomId}'

export const stateIds: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const id = queryOf(request, 'event_id', eventId)
    await openRoomOfMember(services, room, request.origin)
    const told = await services.rooms.stateFor(request.origin, room, id)
    return { json: { pdu_ids: told.stateIds, auth_chain_ids: told.authChainIds, ...doubtField(told) } }
  },
}

const ids = listOf(eventId, MAX_STATE_EVENTS)
const answer = v.pipe(
  v.object({ pdu_ids: ids, auth_chain_ids: ids, ...DOUBT }),
  v.transform((told) => ({ pduIds: told.pdu_ids, authChainIds: told.auth_chain_ids, ...doubtIn(told) })),
)

export function stateIdsCall(
  room: RoomId,
  id: EventId,
): Call<{ pduIds: readonly EventId[]; authChainIds: readonly EventId[]; isUnconfirmed?: true }> {
  return {
    method: 'GET',
    uri: uriOf(PATH, { roomId: room }, [['event_id', id]]),
    answer,
    maxBytes: MAX_STATE_IDS_ANSWER_BYTES,
    timeoutMs: LONG_TIMEOUT_MS,
  }
}
