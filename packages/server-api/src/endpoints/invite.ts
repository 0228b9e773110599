/**
 * PUT /_matrix/federation/v2/invite/{roomId}/{eventId}.
 * spec: v1.19 server-server-api.md#put_matrixfederationv2inviteroomideventid
 */
import type { EventId, JsonObject, RoomId, RoomVersion } from '@plexus/core'
import { parseUserId, roomVersion, serverOf } from '@plexus/core'
import { checkEvents } from '@plexus/engine'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { MAX_INVITE_STATE_EVENTS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { bodyOf, pathOf, type Endpoint } from '../request.ts'
import { eventId, jsonObject, listOf, roomId } from '../schema.ts'
import { checkAcl, type Services } from '../services.ts'
import { checkMemberEvent } from './signed-membership.ts'

const PATH = '/_matrix/federation/v2/invite/{roomId}/{eventId}'

const body = v.object({
  room_version: v.pipe(v.string(), v.maxLength(32)),
  event: jsonObject,
  invite_room_state: v.optional(listOf(jsonObject, MAX_INVITE_STATE_EVENTS), []),
})

/** The event is co-signed by the room's `acceptInvite`, never here. */
export const invite: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const id = pathOf(request, 'eventId', eventId)
    const { room_version: versionId, event, invite_room_state: inviteRoomState } = bodyOf(request, body)
    const version = roomVersion(versionId)
    if (version === undefined) {
      const message = 'this server does not support the version of the room'
      throw new ApiError(400, 'M_INCOMPATIBLE_ROOM_VERSION', message, { room_version: versionId })
    }
    const { origin } = request
    const expected = { roomId: room, eventId: id, membership: 'invite', origin }
    const pdu = checkMemberEvent(version, event, expected)
    const invitee = pdu.state_key === undefined ? undefined : parseUserId(pdu.state_key)
    if (invitee === undefined || serverOf(invitee) !== services.serverName) {
      throw new ApiError(400, 'M_INVALID_PARAM', 'the invited user is not of this server')
    }
    await checkInviteState(services, version, room, inviteRoomState)
    const snapshot = await services.rooms.snapshot(room)
    if (snapshot !== undefined) await checkAcl(services, snapshot, origin)
    const accepted = await services.rooms.acceptInvite(origin, room, id, {
      roomVersion: versionId,
      event,
      inviteRoomState,
    })
    return { json: { event: accepted.event } }
  },
}

/** Signed state events of this very room, its create event among them. spec: data/api/server-server/invites-v2.yaml */
async function checkInviteState(
  { verifier }: Services,
  version: RoomVersion,
  room: RoomId,
  state: readonly JsonObject[],
): Promise<void> {
  const results = await checkEvents(verifier, version, room, state)
  const pdus = results.map((result) => (result.kind === 'ok' ? result.event.pdu : undefined))
  if (pdus.some((pdu) => pdu?.state_key === undefined)) {
    throw new ApiError(400, 'M_INVALID_PARAM', 'invite_room_state holds what is no signed state of the room')
  }
  if (!pdus.some((pdu) => pdu?.type === 'm.room.create')) {
    throw new ApiError(400, 'M_MISSING_PARAM', 'invite_room_state has no m.room.create event')
  }
}

const answer = v.object({ event: jsonObject })

export function inviteCall(
  room: RoomId,
  id: EventId,
  {
    roomVersion,
    event,
    inviteRoomState,
  }: { roomVersion: string; event: JsonObject; inviteRoomState: readonly JsonObject[] },
): Call<{ event: JsonObject }> {
  return {
    method: 'PUT',
    uri: uriOf(PATH, { roomId: room, eventId: id }),
    content: { room_version: roomVersion, event, invite_room_state: inviteRoomState },
    answer,
  }
}
