/** Knocking on rooms in which this node has no member. spec: server-server-api.md "Knocking upon a room" */
import type { ServerName } from '@plexus/core'
import { ROOM_VERSIONS, roomVersion } from '@plexus/core'
import { CarrierError, FederationError } from '../ports.ts'
import { memberships } from './records.ts'
import { checkPair } from './networks.ts'
import type { JoinRequest, RemoteDeps } from './remote-join.ts'
import { asRoomError, fromTemplate, MAX_VIA } from './remote-join.ts'
import { stripAll } from './stripped-state.ts'
import { RoomError } from './types.ts'

/** Knocks of one user that may wait for an answer. */
export const MAX_WAITING_KNOCKS = 100

/** Knocks through the first of `via` that takes it. @throws RoomError with what the last of them said. */
export async function knockRemotely(
  deps: RemoteDeps,
  via: readonly ServerName[],
  request: JoinRequest,
): Promise<void> {
  const rows = await memberships.list(deps.store, [request.userId])
  if (rows.filter(([, row]) => row.resident !== undefined).length >= MAX_WAITING_KNOCKS)
    throw new RoomError('M_LIMIT_EXCEEDED', 'too many knocks wait for an answer')
  let last: unknown = new RoomError(
    'M_NOT_FOUND',
    'no server is known through which one can knock on this room',
  )
  for (const server of via.filter((name) => name !== deps.ownName).slice(0, MAX_VIA)) {
    request.signal?.throwIfAborted()
    try {
      return await knockThrough(deps, server, request)
    } catch (error) {
      if (!(error instanceof CarrierError && last instanceof FederationError)) last = error
      const fields = { roomId: request.roomId, server, error: String(error) }
      deps.log.log('info', 'a server did not take a knock', fields)
    }
  }
  throw asRoomError(last, 'one cannot knock on the room')
}

async function knockThrough(
  deps: RemoteDeps,
  server: ServerName,
  { roomId, userId, content, signal }: JoinRequest,
): Promise<void> {
  checkPair(deps.ownName, server)
  const options = signal === undefined ? {} : { signal }
  const { federation } = deps
  const template = await federation.makeMembership('knock', server, roomId, userId, ROOM_VERSIONS, options)
  const version = roomVersion(template.roomVersion)
  if (version === undefined)
    throw new RoomError('M_INCOMPATIBLE_ROOM_VERSION', 'the version of the room is not supported')
  const knock = await fromTemplate(deps, version, roomId, template.event, {
    type: 'm.room.member',
    sender: userId,
    stateKey: userId,
    content: { ...content, membership: 'knock' },
  })
  const before = await memberships.get(deps.store, [userId, roomId])
  const { roomState } = await federation.sendKnock(server, roomId, knock.id, knock.pdu, options)
  const row = {
    membership: 'knock' as const,
    eventId: knock.id,
    sender: userId,
    resident: server,
    roomVersion: version.id,
    strippedState: stripAll([...roomState, knock.pdu]),
  }
  // An invite that answers the knock may be here before the answer of the server that took it.
  await deps.outsiders.change(userId, roomId, (now) => (now?.eventId === before?.eventId ? row : undefined))
}
