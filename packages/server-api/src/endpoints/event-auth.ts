/**
 * GET /_matrix/federation/v1/event_auth/{roomId}/{eventId}.
 * spec: v1.19 server-server-api.md#get_matrixfederationv1event_authroomideventid
 */
import type { EventId, RoomVersion } from '@plexus/core'
import { judgedBy } from '@plexus/core'
import type { EventRecord } from '@plexus/engine'
import { ApiError } from '../answer.ts'
import { MAX_STATE_EVENTS } from '../bounds.ts'
import { pathOf, type Endpoint } from '../request.ts'
import { eventId, roomId } from '../schema.ts'
import { openRoomOfMember, type Services } from '../services.ts'

export const eventAuth: Endpoint<Services> = {
  method: 'GET',
  path: '/_matrix/federation/v1/event_auth/{roomId}/{eventId}',
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const id = pathOf(request, 'eventId', eventId)
    const { version } = await openRoomOfMember(services, room, request.origin)
    const record = await services.rooms.event(id)
    if (record?.roomId !== room) throw new ApiError(404, 'M_NOT_FOUND', 'the event is not known in this room')
    const chain = await authChainOf(services, version, record)
    return { json: { auth_chain: chain.map((event) => event.pdu) } }
  },
}

/** All ancestors by `auth_events`, nearest first, and the create event where the room's id stands for it: rooms/v12.md */
async function authChainOf(
  services: Services,
  version: RoomVersion,
  event: EventRecord,
): Promise<readonly EventRecord[]> {
  const seen = new Set<EventId>()
  const chain: EventRecord[] = []
  let next: readonly EventId[] = judgedBy(version, event.pdu)
  // Of a longer chain the nearest are told: whoever lacks more can ask for theirs.
  while (next.length > 0 && seen.size < MAX_STATE_EVENTS) {
    const fresh = [...new Set(next)].filter((id) => !seen.has(id)).slice(0, MAX_STATE_EVENTS - seen.size)
    for (const id of fresh) seen.add(id)
    const found = (await services.rooms.events(fresh)).filter((record) => record !== undefined)
    // Too many for the arguments of one call.
    for (const record of found) chain.push(record)
    next = found.flatMap((record) => judgedBy(version, record.pdu))
  }
  return chain
}
