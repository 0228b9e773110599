/**
 * PUT /_matrix/federation/v1/send_knock/{roomId}/{eventId}.
 * spec: v1.19 server-server-api.md#put_matrixfederationv1send_knockroomideventid
 */
import type { EventId, JsonObject, Pdu, RoomId } from '@plexus/core'
import * as v from 'valibot'
import { MAX_INVITE_STATE_EVENTS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import type { Endpoint } from '../request.ts'
import { jsonObject, listOf } from '../schema.ts'
import type { Services } from '../services.ts'
import { acceptMembership } from './signed-membership.ts'

const PATH = '/_matrix/federation/v1/send_knock/{roomId}/{eventId}'

/** What helps the knocker to recognise the room. spec: client-server-api "Stripped state" */
const SHOWN: ReadonlySet<string> = new Set([
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
])

const isShown = (pdu: Pdu): boolean => SHOWN.has(pdu.type) && pdu.state_key === ''

export const sendKnock: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  async handle(services, request) {
    const { state } = await acceptMembership('knock', services, request)
    return { json: { knock_room_state: state.filter(isShown) } }
  },
}

const answer = v.pipe(
  v.object({ knock_room_state: listOf(jsonObject, MAX_INVITE_STATE_EVENTS) }),
  v.transform(({ knock_room_state: roomState }) => ({ roomState })),
)

export function sendKnockCall(
  roomId: RoomId,
  eventId: EventId,
  event: JsonObject,
): Call<{ roomState: readonly JsonObject[] }> {
  return { method: 'PUT', uri: uriOf(PATH, { roomId, eventId }), content: event, answer }
}
