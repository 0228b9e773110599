/**
 * GET /_matrix/federation/v1/make_join/{roomId}/{userId}, make_leave, make_knock.
 * spec: v1.19 server-server-api.md#get_matrixfederationv1make_joinroomiduserid and its siblings
 */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import { serverOf } from '@plexus/core'
import { RoomError } from '@plexus/engine'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { MAX_ROOM_VERSIONS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { pathOf, type Endpoint } from '../request.ts'
import { jsonObject, roomId, userId } from '../schema.ts'
import { openRoom, type Services } from '../services.ts'

export type MembershipKind = 'join' | 'leave' | 'knock'

/** What a requester that lists none supports. spec: data/api/server-server/joins-v1.yaml */
const DEFAULT_VERSIONS: readonly string[] = ['1']

const pathFor = (kind: MembershipKind): string => `/_matrix/federation/v1/make_${kind}/{roomId}/{userId}`

export function makeMembership(kind: MembershipKind): Endpoint<Services> {
  return {
    method: 'GET',
    path: pathFor(kind),
    async handle(services, request) {
      const room = pathOf(request, 'roomId', roomId)
      const user = pathOf(request, 'userId', userId)
      const versions = request.query.getAll('ver')
      if (versions.length > MAX_ROOM_VERSIONS) {
        throw new ApiError(400, 'M_INVALID_PARAM', `more than ${MAX_ROOM_VERSIONS} room versions`)
      }
      if (serverOf(user) !== request.origin) {
        throw new ApiError(403, 'M_FORBIDDEN', 'the user is not of the requesting server')
      }
      const { version } = await openRoom(services, room, request.origin)
      // A leaving server lists none, since it needs to support none.
      const listed = kind === 'leave' ? [version.id] : versions.length === 0 ? DEFAULT_VERSIONS : versions
      if (!listed.includes(version.id)) throw incompatible(version.id)
      try {
        const made = await services.rooms.makeMembership(kind, request.origin, room, user, listed)
        const event = { ...made.event, origin: services.serverName }
        return { json: { room_version: made.roomVersion, event } }
      } catch (error) {
        if (!(error instanceof RoomError) || error.errcode !== 'M_INCOMPATIBLE_ROOM_VERSION') throw error
        throw incompatible(version.id)
      }
    },
  }
}

function incompatible(version: string): ApiError {
  const message = 'the room has a version that the requester does not list'
  return new ApiError(400, 'M_INCOMPATIBLE_ROOM_VERSION', message, { room_version: version })
}

const answer = v.pipe(
  v.object({ room_version: v.optional(v.pipe(v.string(), v.maxLength(32)), '1'), event: jsonObject }),
  v.transform(({ room_version: roomVersion, event }) => ({ roomVersion, event })),
)

export function makeMembershipCall(
  kind: MembershipKind,
  room: RoomId,
  user: UserId,
  versions: readonly string[],
): Call<{ roomVersion: string; event: JsonObject }> {
  const query = kind === 'leave' ? [] : versions.map((version) => ['ver', version] as const)
  return { method: 'GET', uri: uriOf(pathFor(kind), { roomId: room, userId: user }, query), answer }
}
