/**
 * PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}.
 * spec: v1.19 server-server-api.md#put_matrixfederationv2send_joinroomideventid
 */
import type { EventId, JsonObject, RoomId } from '@plexus/core'
import * as v from 'valibot'
import { LONG_TIMEOUT_MS, MAX_STATE_ANSWER_BYTES } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { flagOf, type Endpoint } from '../request.ts'
import { jsonObject, stateEvents } from '../schema.ts'
import type { Services } from '../services.ts'
import { acceptMembership } from './signed-membership.ts'

const PATH = '/_matrix/federation/v2/send_join/{roomId}/{eventId}'

export const sendJoin: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  async handle(services, request) {
    const omitMembers = flagOf(request, 'omit_members')
    const told = await acceptMembership('join', services, request, { omitMembers })
    const { event, state, authChain, membersOmitted, serversInRoom } = told
    const answered = { event, state, auth_chain: authChain, members_omitted: membersOmitted }
    return { json: membersOmitted ? { ...answered, servers_in_room: serversInRoom } : answered }
  },
}

export type JoinAnswer = {
  readonly state: readonly JsonObject[]
  readonly authChain: readonly JsonObject[]
  readonly event?: JsonObject
}

const answer = v.pipe(
  v.object({
    state: stateEvents,
    auth_chain: stateEvents,
    event: v.optional(jsonObject),
    // Not asked for, so an answer without the members would be taken for a room without them.
    members_omitted: v.optional(v.literal(false)),
  }),
  v.transform(({ state, auth_chain: authChain, event }): JoinAnswer => {
    return event === undefined ? { state, authChain } : { state, authChain, event }
  }),
)

export function sendJoinCall(roomId: RoomId, eventId: EventId, event: JsonObject): Call<JoinAnswer> {
  return {
    method: 'PUT',
    uri: uriOf(PATH, { roomId, eventId }),
    content: event,
    answer,
    maxBytes: MAX_STATE_ANSWER_BYTES,
    timeoutMs: LONG_TIMEOUT_MS,
  }
}
