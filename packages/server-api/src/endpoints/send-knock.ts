/**
 * PUT /_matrix/federation/v1/send_knock/{roomId}/{eventId}.
 * spec: v1.19 server-server-api.md#put_matrixfederationv1send_knockroomideventid
 */
import type { Pdu } from '@plexus/core'
import type { Endpoint } from '../request.ts'
import type { Services } from '../services.ts'
import { acceptMembership } from './signed-membership.ts'

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
  path: '/_matrix/federation/v1/send_knock/{roomId}/{eventId}',
  async handle(services, request) {
    const { state } = await acceptMembership('knock', services, request)
    return { json: { knock_room_state: state.filter(isShown) } }
  },
}
