/**
 * PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}, and v1.
 * spec: v1.19 server-server-api.md#put_matrixfederationv2send_joinroomideventid
 */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import * as v from 'valibot'
import { LONG_TIMEOUT_MS, MAX_SERVERS_IN_ROOM, MAX_STATE_ANSWER_BYTES } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { DOUBT, doubtField, doubtIn, type Doubt } from '../doubt.ts'
import { flagOf, type Endpoint } from '../request.ts'
import { jsonObject, listOf, serverName, stateEvents } from '../schema.ts'
import type { Services } from '../services.ts'
import { acceptMembership } from './signed-membership.ts'

const PATH = '/_matrix/federation/v2/send_join/{roomId}/{eventId}'
const PATH_V1 = '/_matrix/federation/v1/send_join/{roomId}/{eventId}'

export const sendJoin: Endpoint<Services> = {
  method: 'PUT',
  path: PATH,
  async handle(services, request) {
    const omitMembers = flagOf(request, 'omit_members')
    const told = await acceptMembership('join', services, request, { omitMembers })
    const { event, state, authChain, serversInRoom } = told
    const omits = { members_omitted: serversInRoom !== undefined }
    const answered = { event, state, auth_chain: authChain, ...omits, ...doubtField(told) }
    return { json: serversInRoom === undefined ? answered : { ...answered, servers_in_room: serversInRoom } }
  },
}

/** As older servers ask. spec: server-server-api.md "Server Access Control Lists" has it among what it protects */
export const sendJoinV1: Endpoint<Services> = {
  method: 'PUT',
  path: PATH_V1,
  async handle(services, request) {
    const { state, authChain } = await acceptMembership('join', services, request)
    return { json: [200, { state, auth_chain: authChain }] }
  },
}

export type JoinAnswer = {
  readonly state: readonly JsonObject[]
  readonly authChain: readonly JsonObject[]
  readonly event?: JsonObject
  /** Set when the state lacks members. */
  readonly serversInRoom?: readonly ServerName[]
} & Doubt

const told = { state: stateEvents, auth_chain: stateEvents, event: v.optional(jsonObject), ...DOUBT }
const answer = v.pipe(
  v.union([
    v.object({
      ...told,
      members_omitted: v.literal(true),
      servers_in_room: listOf(serverName, MAX_SERVERS_IN_ROOM),
    }),
    v.object({ ...told, members_omitted: v.optional(v.literal(false)) }),
  ]),
  v.transform(({ state, auth_chain: authChain, event, ...rest }): JoinAnswer => {
    const whole = { state, authChain, ...(event === undefined ? {} : { event }), ...doubtIn(rest) }
    return 'servers_in_room' in rest ? { ...whole, serversInRoom: rest.servers_in_room } : whole
  }),
)

export function sendJoinCall(roomId: RoomId, eventId: EventId, event: JsonObject): Call<JoinAnswer> {
  return {
    method: 'PUT',
    uri: uriOf(PATH, { roomId, eventId }, [['omit_members', 'true']]),
    content: event,
    answer,
    holdsEvents: true,
    maxBytes: MAX_STATE_ANSWER_BYTES,
    timeoutMs: LONG_TIMEOUT_MS,
  }
}
