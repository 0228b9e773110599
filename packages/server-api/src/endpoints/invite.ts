/**
 * PUT /_matrix/federation/v2/invite/{roomId}/{eventId}, and v1.
 * spec: v1.19 server-server-api.md#put_matrixfederationv2inviteroomideventid and its sibling
 */
import type { EventId, JsonObject, RoomId, RoomVersion } from '@plexus/core'
import { parseUserId, roomVersion, serverOf } from '@plexus/core'
import { inviteStateFault } from '@plexus/engine'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { MAX_INVITE_STATE_EVENTS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { bodyOf, objectBody, pathOf, type Endpoint, type ProvenRequest } from '../request.ts'
import { eventId, jsonObject, listOf, roomId } from '../schema.ts'
import { checkAcl, type Services } from '../services.ts'
import { checkMemberEvent } from './signed-membership.ts'

const PATH = '/_matrix/federation/v2/invite/{roomId}/{eventId}'
const PATH_V1 = '/_matrix/federation/v1/invite/{roomId}/{eventId}'

/** A server that asks by the older endpoint knows no other room versions; their events look alike. */
const VERSION_OF_V1 = '1'
const VERSIONS_OF_V1: ReadonlySet<string> = new Set(['1', '2'])

const inviteState = v.optional(listOf(jsonObject, MAX_INVITE_STATE_EVENTS), [])
const body = v.object({
  room_version: v.pipe(v.string(), v.maxLength(32)),
  event: jsonObject,
  invite_room_state: inviteState,
})
const unsignedPart = v.object({
  unsigned: v.optional(v.object({ invite_room_state: inviteState }), {}),
})

/** The event is co-signed by the room's `acceptInvite`, never here. */
export const invite: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  async handle(services, request) {
    const { room_version: roomVersion, event, invite_room_state: inviteRoomState } = bodyOf(request, body)
    return { json: await take(services, request, { roomVersion, event, inviteRoomState }) }
  },
}

/** The same in the form of the first version. spec: v1.19 server-server-api.md#put_matrixfederationv1inviteroomideventid */
export const inviteV1: Endpoint<Services> = {
  method: 'PUT',
  path: PATH_V1,
  async handle(services, request) {
    const event = objectBody(request)
    const { unsigned } = bodyOf(request, unsignedPart)
    const { invite_room_state: inviteRoomState } = unsigned
    return {
      json: [200, await take(services, request, { roomVersion: VERSION_OF_V1, event, inviteRoomState })],
    }
  },
}

type Invite = {
  readonly roomVersion: string
  readonly event: JsonObject
  readonly inviteRoomState: readonly JsonObject[]
}

async function take(services: Services, request: ProvenRequest, given: Invite): Promise<JsonObject> {
  const room = pathOf(request, 'roomId', roomId)
  const id = pathOf(request, 'eventId', eventId)
  const { roomVersion: versionId, event, inviteRoomState } = given
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
  // Servers send mere stripped state in rooms of the older versions. spec: server-server-api.md "Inviting to a room"
  if (version.roomIdIsCreateHash) await checkInviteState(services, version, request, inviteRoomState)
  const snapshot = await services.rooms.snapshot(room)
  if (snapshot !== undefined) await checkAcl(services, snapshot, origin)
  const accepted = await services.rooms.acceptInvite(origin, room, id, given)
  return { event: accepted.event }
}

/** @throws ApiError */
async function checkInviteState(
  services: Services,
  version: RoomVersion,
  request: ProvenRequest,
  state: readonly JsonObject[],
): Promise<void> {
  const about = { version, roomId: pathOf(request, 'roomId', roomId), origin: request.origin }
  const fault = await inviteStateFault(services, about, state)
  if (fault === undefined) return
  const errcode = fault.includes('m.room.create') ? 'M_MISSING_PARAM' : 'M_INVALID_PARAM'
  throw new ApiError(400, errcode, `invite_room_state: ${fault}`)
}

const answer = v.object({ event: jsonObject })

export function inviteCall(
  room: RoomId,
  id: EventId,
  { roomVersion: version, event, inviteRoomState }: Invite,
): Call<{ event: JsonObject }> {
  return {
    method: 'PUT',
    uri: uriOf(PATH, { roomId: room, eventId: id }),
    content: { room_version: version, event, invite_room_state: inviteRoomState },
    answer,
  }
}

const answerV1 = v.pipe(
  v.tuple([v.number(), answer]),
  v.transform(([, signed]) => signed),
)

/** For a server that knows no newer endpoint; `undefined` for a room that it could not be in. */
export function inviteV1Call(
  room: RoomId,
  id: EventId,
  { roomVersion: version, event, inviteRoomState }: Invite,
): Call<{ event: JsonObject }> | undefined {
  if (!VERSIONS_OF_V1.has(version)) return undefined
  return {
    method: 'PUT',
    uri: uriOf(PATH_V1, { roomId: room, eventId: id }),
    content: { ...event, unsigned: { invite_room_state: inviteRoomState } },
    answer: answerV1,
  }
}
