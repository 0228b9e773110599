/** What `send_join`, `send_leave` and `send_knock` have in common: a membership event that the origin built. */
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion, ServerName } from '@plexus/core'
import { checkFormat, ownValue, serverOf } from '@plexus/core'
import type { AcceptedMembership } from '@plexus/engine'
import { ApiError } from '../answer.ts'
import { objectBody, pathOf, type ProvenRequest } from '../request.ts'
import { eventId, roomId } from '../schema.ts'
import { openRoom, type Services } from '../services.ts'
import type { MembershipKind } from './make-membership.ts'

/** Checks ids, kind and user of the event in the body, and gives it to the room, which checks all else. */
export async function acceptMembership(
  kind: MembershipKind,
  services: Services,
  request: ProvenRequest,
  options: { readonly omitMembers?: boolean } = {},
): Promise<AcceptedMembership> {
  const room = pathOf(request, 'roomId', roomId)
  const id = pathOf(request, 'eventId', eventId)
  const event = objectBody(request)
  const { origin } = request
  const { version } = await openRoom(services, room, origin)
  checkMemberEvent(version, event, { roomId: room, eventId: id, membership: kind, origin })
  if (ownValue(event, 'state_key') !== ownValue(event, 'sender')) throw wrong('state_key is not the sender')
  return services.rooms.acceptMembership(kind, origin, room, id, event, options)
}

export type Expected = {
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly membership: string
  readonly origin: ServerName
}

/**
 * The event as a PDU, when it is well-formed, whole, the one that the path names, and a membership event of the
 * expected kind whose sender is of the origin. @throws ApiError M_INVALID_PARAM.
 */
export function checkMemberEvent(version: RoomVersion, event: JsonObject, expected: Expected): Pdu {
  const format = checkFormat(version, event)
  if (format.kind === 'drop') throw wrong(`not an event: ${format.why.reason}`)
  const { pdu } = format
  if (!format.contentHashOk) throw wrong('the content hash does not match')
  if (format.eventId !== expected.eventId) throw wrong('the event is not the one that the path names')
  if (format.roomId !== expected.roomId) throw wrong('the event is of another room')
  if (pdu.type !== 'm.room.member') throw wrong('the event is not a membership event')
  if (ownValue(pdu.content, 'membership') !== expected.membership)
    throw wrong('the membership is another one')
  if (serverOf(pdu.sender) !== expected.origin) throw wrong('the sender is not of the requesting server')
  return pdu
}

function wrong(message: string): ApiError {
  return new ApiError(400, 'M_INVALID_PARAM', message)
}
