/**
 * POST /_matrix/federation/v1/get_missing_events/{roomId}.
 * spec: v1.19 server-server-api.md#post_matrixfederationv1get_missing_eventsroomid
 */
import type { EventId, JsonObject, RoomId } from '@plexus/core'
import * as v from 'valibot'
import { MAX_HISTORY_ANSWER_BYTES, MAX_HISTORY_EVENTS, MAX_QUERIED_EVENTS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { bodyOf, pathOf, type Endpoint } from '../request.ts'
import { eventId, jsonObject, listOf, roomId } from '../schema.ts'
import { openRoomOfMember, type Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/get_missing_events/{roomId}'

/** spec: data/api/server-server/backfill.yaml */
const DEFAULT_LIMIT = 10

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const body = v.object({
  earliest_events: listOf(eventId, MAX_QUERIED_EVENTS),
  latest_events: listOf(eventId, MAX_QUERIED_EVENTS),
  limit: v.optional(count, DEFAULT_LIMIT),
  min_depth: v.optional(count, 0),
})

export const getMissingEvents: Endpoint<Services> = {
  method: 'POST',
  path: PATH,
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const query = bodyOf(request, body)
    await openRoomOfMember(services, room, request.origin)
    const events = await services.rooms.missingEvents(request.origin, room, {
      earliest: query.earliest_events,
      latest: query.latest_events,
      limit: Math.min(query.limit, MAX_HISTORY_EVENTS),
      minDepth: query.min_depth,
    })
    return { json: { events } }
  },
}

const answer = v.object({ events: listOf(jsonObject, MAX_HISTORY_EVENTS) })

export type MissingEventsQuery = {
  readonly earliest: readonly EventId[]
  readonly latest: readonly EventId[]
  readonly limit: number
  readonly minDepth: number
}

export function getMissingEventsCall(
  room: RoomId,
  { earliest, latest, limit, minDepth }: MissingEventsQuery,
): Call<{ events: readonly JsonObject[] }> {
  return {
    method: 'POST',
    uri: uriOf(PATH, { roomId: room }),
    content: {
      earliest_events: earliest.slice(0, MAX_QUERIED_EVENTS),
      latest_events: latest.slice(0, MAX_QUERIED_EVENTS),
      limit: Math.min(limit, MAX_HISTORY_EVENTS),
      min_depth: minDepth,
    },
    answer,
    holdsEvents: true,
    maxBytes: MAX_HISTORY_ANSWER_BYTES,
  }
}
