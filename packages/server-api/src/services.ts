/** What the handlers stand on, and what they ask of a room before they say anything about it. */
import type { RoomId, ServerName } from '@plexus/core'
import { isServerAllowed, stateKey } from '@plexus/core'
import type {
  Clock,
  Inbound,
  OpenId,
  Random,
  RoomDirectory,
  RoomSnapshot,
  Rooms,
  ServerKeys,
  UserQueries,
  Verifier,
} from '@plexus/engine'
import { ApiError } from './answer.ts'

export type Services = {
  readonly serverName: ServerName
  readonly rooms: Rooms
  readonly inbound: Inbound
  readonly queries: UserQueries
  readonly openId: Pick<OpenId, 'userOf'>
  readonly roomDirectory: Pick<RoomDirectory, 'resolveLocal' | 'publicRooms' | 'hierarchyFor'>
  readonly verifier: Verifier
  readonly keys: ServerKeys
  readonly random: Random
  readonly clock: Clock
  /** Name and version of this software. */
  readonly software: { readonly name: string; readonly version: string }
}

const SERVER_ACL = stateKey('m.room.server_acl', '')

/** What the room's server ACL says. spec: server-server-api.md "Server Access Control Lists (ACLs)" */
export async function isAllowed(
  services: Services,
  snapshot: RoomSnapshot,
  origin: ServerName,
): Promise<boolean> {
  const id = snapshot.state.get(SERVER_ACL)
  if (id === undefined) return true
  const event = await services.rooms.event(id)
  return event !== undefined && isServerAllowed(event.pdu.content, origin)
}

/** Refuses a server that the room's ACL denies. @throws ApiError M_FORBIDDEN. */
export async function checkAcl(
  services: Services,
  snapshot: RoomSnapshot,
  origin: ServerName,
): Promise<void> {
  if (!(await isAllowed(services, snapshot, origin))) {
    throw new ApiError(403, 'M_FORBIDDEN', "the room's server ACL denies this server")
  }
}

/** A room of this node that the origin may ask about. @throws ApiError M_NOT_FOUND, M_FORBIDDEN. */
export async function openRoom(
  services: Services,
  roomId: RoomId,
  origin: ServerName,
): Promise<RoomSnapshot> {
  const snapshot = await services.rooms.snapshot(roomId)
  if (snapshot === undefined) throw new ApiError(404, 'M_NOT_FOUND', 'the room is not known here')
  await checkAcl(services, snapshot, origin)
  return snapshot
}

/** As `openRoom`, for what only a server with a joined member may ask. */
export async function openRoomOfMember(
  services: Services,
  roomId: RoomId,
  origin: ServerName,
): Promise<RoomSnapshot> {
  const snapshot = await openRoom(services, roomId, origin)
  if (!snapshot.joinedServers.includes(origin)) {
    throw new ApiError(403, 'M_FORBIDDEN', 'the server has no member in the room')
  }
  return snapshot
}
