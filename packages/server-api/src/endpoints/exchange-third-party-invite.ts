/**
 * PUT /_matrix/federation/v1/exchange_third_party_invite/{roomId}.
 * spec: v1.19 server-server-api.md#put_matrixfederationv1exchange_third_party_inviteroomid
 */
import type { JsonObject, RoomId } from '@plexus/core'
import { canonicalJson, checkCanonical, MAX_PDU_BYTES, serverOf, utf8Length } from '@plexus/core'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { uriOf, type Call } from '../call.ts'
import { bodyOf, objectBody, pathOf, type Endpoint } from '../request.ts'
import { emptyAnswer, jsonObject, roomId, userId } from '../schema.ts'
import { openRoom, type Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/exchange_third_party_invite/{roomId}'

const body = v.object({
  type: v.literal('m.room.member'),
  room_id: roomId,
  sender: userId,
  state_key: userId,
  content: v.object({
    membership: v.literal('invite'),
    third_party_invite: v.object({
      signed: v.object({ mxid: userId, token: v.string(), signatures: jsonObject }),
    }),
  }),
})

/** The invite that follows is built by the room from what it knows; nothing of the body is signed as it came. */
export const exchangeThirdPartyInvite: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const event = objectBody(request)
    const parsed = bodyOf(request, body)
    const { signed } = parsed.content.third_party_invite
    if (checkCanonical(event) !== undefined || utf8Length(canonicalJson(event)) > MAX_PDU_BYTES) {
      throw new ApiError(413, 'M_TOO_LARGE', 'the event is too large')
    }
    if (parsed.room_id !== room) throw new ApiError(400, 'M_INVALID_PARAM', 'the event is of another room')
    if (serverOf(parsed.state_key) !== request.origin) {
      throw new ApiError(403, 'M_FORBIDDEN', 'the invited user is not of the requesting server')
    }
    if (signed.mxid !== parsed.state_key) {
      throw new ApiError(403, 'M_FORBIDDEN', 'the signed user is not the invited one')
    }
    await openRoom(services, room, request.origin)
    await services.rooms.exchangeThirdPartyInvite(request.origin, room, event)
    return { json: {} }
  },
}

export function exchangeThirdPartyInviteCall(room: RoomId, event: JsonObject): Call<void> {
  return { method: 'PUT', uri: uriOf(PATH, { roomId: room }), content: event, answer: emptyAnswer }
}
