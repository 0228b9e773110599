/** GET /_matrix/federation/v1/backfill/{roomId}. spec: v1.19 server-server-api.md#get_matrixfederationv1backfillroomid */
import type { EventId, JsonObject, RoomId } from '@plexus/core'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { MAX_HISTORY_ANSWER_BYTES, MAX_HISTORY_EVENTS, MAX_QUERIED_EVENTS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { pathOf, queryOf, type Endpoint } from '../request.ts'
import { applySchema, eventId, jsonObject, listOf, roomId, type Schema } from '../schema.ts'
import { openRoomOfMember, type Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/backfill/{roomId}'

const limitText: Schema<string> = v.pipe(v.string(), v.regex(/^[0-9]{1,9}$/, 'not a number'))
const eventIds = v.pipe(listOf(eventId, MAX_QUERIED_EVENTS), v.minLength(1, 'v is missing'))

export const backfill: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const limit = Math.min(Number(queryOf(request, 'limit', limitText)), MAX_HISTORY_EVENTS)
    const from = applySchema(eventIds, request.query.getAll('v'))
    if (from.kind === 'wrong') throw new ApiError(400, 'M_INVALID_PARAM', from.why)
    await openRoomOfMember(services, room, request.origin)
    const pdus = await services.rooms.backfillFor(request.origin, room, from.value, limit)
    return { json: { origin: services.serverName, origin_server_ts: services.clock.now(), pdus } }
  },
}

const answer = v.object({ pdus: listOf(jsonObject, MAX_HISTORY_EVENTS) })

export function backfillCall(
  room: RoomId,
  from: readonly EventId[],
  limit: number,
): Call<{ pdus: readonly JsonObject[] }> {
  const query: (readonly [string, string])[] = [['limit', String(Math.min(limit, MAX_HISTORY_EVENTS))]]
  for (const id of from.slice(0, MAX_QUERIED_EVENTS)) query.push(['v', id])
  return {
    method: 'GET',
    uri: uriOf(PATH, { roomId: room }, query),
    answer,
    holdsEvents: true,
    maxBytes: MAX_HISTORY_ANSWER_BYTES,
  }
}
