/**
 * GET /_matrix/federation/v1/extremities/{roomId}, and under its unstable name.
 * spec: proposals/4370-prev-events-federation-endpoint.md
 */
import { MAX_PREV_EVENTS } from '@plexus/core'
import { pathOf, type Endpoint } from '../request.ts'
import { roomId } from '../schema.ts'
import { openRoomOfMember, type Services } from '../services.ts'

/** What an event of ours would follow. */
const extremitiesAt = (path: string): Endpoint<Services> => ({
  method: 'GET',
  path,
  async handle(services, request) {
    const room = pathOf(request, 'roomId', roomId)
    const { heads } = await openRoomOfMember(services, room, request.origin)
    return { json: { prev_events: heads.slice(0, MAX_PREV_EVENTS) } }
  },
})

export const extremities: readonly Endpoint<Services>[] = [
  extremitiesAt('/_matrix/federation/v1/extremities/{roomId}'),
  extremitiesAt('/_matrix/federation/unstable/org.matrix.msc4370/extremities/{roomId}'),
]
