/** GET /_matrix/federation/v1/event/{eventId}. spec: v1.19 server-server-api.md#get_matrixfederationv1eventeventid */
import type { EventId, JsonObject } from '@plexus/core'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { uriOf, type Call } from '../call.ts'
import { pathOf, type Endpoint } from '../request.ts'
import { eventId, jsonObject, listOf } from '../schema.ts'
import { openRoomOfMember, type Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/event/{eventId}'

export const event: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle(services, request) {
    const id = pathOf(request, 'eventId', eventId)
    const record = await services.rooms.event(id)
    if (record === undefined) throw new ApiError(404, 'M_NOT_FOUND', 'the event is not known here')
    await openRoomOfMember(services, record.roomId, request.origin)
    const pdu = await services.rooms.eventFor(request.origin, id)
    return { json: { origin: services.serverName, origin_server_ts: services.clock.now(), pdus: [pdu] } }
  },
}

const answer = v.object({ pdus: listOf(jsonObject, 1) })

export function eventCall(id: EventId): Call<{ pdus: readonly JsonObject[] }> {
  return { method: 'GET', uri: uriOf(PATH, { eventId: id }), answer, holdsEvents: true }
}
