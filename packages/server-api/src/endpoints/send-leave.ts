/**
 * PUT /_matrix/federation/v2/send_leave/{roomId}/{eventId}, and v1.
 * spec: v1.19 server-server-api.md#put_matrixfederationv2send_leaveroomideventid
 */
import type { EventId, JsonObject, RoomId } from '@plexus/core'
import { uriOf, type Call } from '../call.ts'
import type { Endpoint } from '../request.ts'
import { emptyAnswer } from '../schema.ts'
import type { Services } from '../services.ts'
import { acceptMembership } from './signed-membership.ts'

const PATH = '/_matrix/federation/v2/send_leave/{roomId}/{eventId}'
const PATH_V1 = '/_matrix/federation/v1/send_leave/{roomId}/{eventId}'

export const sendLeave: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  async handle(services, request) {
    await acceptMembership('leave', services, request)
    return { json: {} }
  },
}

/** As older servers ask. spec: server-server-api.md "Server Access Control Lists" has it among what it protects */
export const sendLeaveV1: Endpoint<Services> = {
  method: 'PUT',
  path: PATH_V1,
  async handle(services, request) {
    await acceptMembership('leave', services, request)
    return { json: [200, {}] }
  },
}

export function sendLeaveCall(roomId: RoomId, eventId: EventId, event: JsonObject): Call<void> {
  return { method: 'PUT', uri: uriOf(PATH, { roomId, eventId }), content: event, answer: emptyAnswer }
}
