/**
 * POST /_matrix/client/v3/join/{roomIdOrAlias}
 * POST /_matrix/client/v3/rooms/{roomId}/join
 * POST /_matrix/client/v3/knock/{roomIdOrAlias}
 * POST /_matrix/client/v3/rooms/{roomId}/invite
 * POST /_matrix/client/v3/rooms/{roomId}/leave
 * POST /_matrix/client/v3/rooms/{roomId}/forget
 * POST /_matrix/client/v3/rooms/{roomId}/kick
 * POST /_matrix/client/v3/rooms/{roomId}/ban
 * POST /_matrix/client/v3/rooms/{roomId}/unban
 * https://spec.matrix.org/v1.19/client-server-api/#room-membership
 */
import type { JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import { memberKey, ownValue, parseRoomAlias, parseRoomId } from '@plexus/core'
import type { Membership } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, forbidden, invalidParam, missingParam } from '../../matrix-error.ts'
import { jsonObject, queryList, serverName, userId } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { inRoom, reasonOf, withReason } from './common.ts'

const joinBody = v.object({ reason: v.optional(v.string()), third_party_signed: v.optional(jsonObject) })
const idOrAlias = v.object({ roomIdOrAlias: v.string() })
const via = v.optional(queryList(serverName))
// `server_name` is the name of `via` before v1.12.
const viaQuery = v.object({ via, server_name: via })
const target = v.object({ user_id: userId, reason: v.optional(v.string()) })

type Where = { readonly roomId: RoomId; readonly via: readonly ServerName[] }

async function find(
  engine: ApiEngine,
  text: string,
  query: {
    readonly via?: readonly ServerName[] | undefined
    readonly server_name?: readonly ServerName[] | undefined
  },
  signal: AbortSignal,
): Promise<Where> {
  const named = [...(query.via ?? []), ...(query.server_name ?? [])]
  const id = parseRoomId(text)
  if (id !== undefined) return { roomId: id, via: named }
  const alias = parseRoomAlias(text)
  if (alias === undefined) throw invalidParam('neither a room id nor a room alias')
  const { roomId, servers } = await engine.roomDirectory.resolve(alias, signal)
  return { roomId, via: [...new Set([...named, ...servers])] }
}

async function joinRoom(
  engine: ApiEngine,
  { userId }: Requester,
  where: Where,
  body: v.InferOutput<typeof joinBody>,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { roomId } = where
  // Joining again changes nothing.
  if ((await engine.rooms.membership(userId, roomId))?.membership === 'join') return { room_id: roomId }
  if (body.third_party_signed !== undefined) {
    throw new MatrixError(
      400,
      'M_UNKNOWN',
      'third_party_signed is not taken here; open the invite link instead',
    )
  }
  const content = { ...(await engine.users.profiles.memberContent(userId)), ...reasonOf(body.reason) }
  await engine.rooms.join(userId, roomId, { via: where.via, content, signal })
  return { room_id: roomId }
}

export const join: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/join/{roomIdOrAlias}',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'lookup',
  pathSchema: idOrAlias,
  querySchema: viaQuery,
  bodySchema: joinBody,
  handler: async ({ engine, requester, path, query, body, signal }) =>
    joinRoom(engine, requester, await find(engine, path.roomIdOrAlias, query, signal), body, signal),
})

export const joinById: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/join',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'lookup',
  pathSchema: inRoom,
  bodySchema: joinBody,
  handler: ({ engine, requester, path, body, signal }) =>
    joinRoom(engine, requester, { roomId: path.roomId, via: [] }, body, signal),
})

export const knock: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/knock/{roomIdOrAlias}',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'lookup',
  pathSchema: idOrAlias,
  querySchema: viaQuery,
  bodySchema: withReason,
  handler: async ({ engine, requester, path, query, body, signal }) => {
    const { roomId } = await find(engine, path.roomIdOrAlias, query, signal)
    const snapshot = await engine.rooms.snapshot(roomId)
    if (snapshot === undefined || engine.rooms.localMembers(snapshot).length === 0) {
      throw forbidden('this node can only knock on rooms that it has a member in')
    }
    const profile = await engine.users.profiles.memberContent(requester.userId)
    await sendMember(engine, requester.userId, roomId, requester.userId, 'knock', {
      ...profile,
      ...reasonOf(body.reason),
    })
    return { room_id: roomId }
  },
})

export const invite: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/invite',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: inRoom,
  bodySchema: v.looseObject({ user_id: v.optional(userId), reason: v.optional(v.string()) }),
  handler: async ({ engine, requester, path, body }) => {
    if (body.user_id === undefined) {
      if (ownValue(body as JsonObject, 'medium') === undefined) throw missingParam('user_id is missing')
      throw new MatrixError(
        400,
        'M_THREEPID_NOT_FOUND',
        'there is no identity server here; invite by link instead',
      )
    }
    await engine.rooms.invite(requester.userId, path.roomId, body.user_id, reasonOf(body.reason))
    return {}
  },
})

export const leave: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/leave',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: inRoom,
  bodySchema: withReason,
  handler: async ({ engine, requester, path, body }) => {
    const row = await engine.rooms.membership(requester.userId, path.roomId)
    if (row === undefined) throw forbidden('you are not in this room')
    if (row.membership !== 'leave')
      await engine.rooms.leave(requester.userId, path.roomId, reasonOf(body.reason))
    return {}
  },
})

export const forget: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/forget',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: inRoom,
  handler: async ({ engine, requester, path }) => {
    const row = await engine.rooms.membership(requester.userId, path.roomId)
    if (row?.membership === 'join' || row?.membership === 'invite' || row?.membership === 'knock') {
      throw new MatrixError(400, 'M_UNKNOWN', 'leave the room before forgetting it')
    }
    if (row !== undefined) await engine.rooms.forget(requester.userId, path.roomId)
    return {}
  },
})

/** Kick, ban and unban: a membership that one user gives another. */
function memberEndpoint(verb: string, membership: Membership, from?: ReadonlySet<Membership>): Endpoint {
  return endpoint({
    method: 'POST',
    path: `/_matrix/client/v3/rooms/{roomId}/${verb}`,
    auth: 'user',
    whileSuspended: false,
    rateLimit: 'message',
    pathSchema: inRoom,
    bodySchema: target,
    handler: async ({ engine, requester, path, body }) => {
      const is = await membershipOf(engine, path.roomId, body.user_id)
      if (from?.has(is) === false) throw forbidden(`cannot ${verb}: the user's membership is ${is}`)
      await sendMember(engine, requester.userId, path.roomId, body.user_id, membership, reasonOf(body.reason))
      return {}
    },
  })
}

export const kick: Endpoint = memberEndpoint('kick', 'leave', new Set(['join', 'invite', 'knock']))
export const ban: Endpoint = memberEndpoint('ban', 'ban')
export const unban: Endpoint = memberEndpoint('unban', 'leave', new Set(['ban']))

async function membershipOf(engine: ApiEngine, roomId: RoomId, userId: UserId): Promise<Membership> {
  const id = (await engine.rooms.snapshot(roomId))?.state.get(memberKey(userId))
  const membership = id === undefined ? undefined : (await engine.rooms.event(id))?.pdu.content['membership']
  return (['join', 'invite', 'knock', 'ban'] as const).find((one) => one === membership) ?? 'leave'
}

async function sendMember(
  engine: ApiEngine,
  sender: UserId,
  roomId: RoomId,
  target: UserId,
  membership: Membership,
  content: JsonObject,
): Promise<void> {
  await engine.rooms.send(roomId, {
    type: 'm.room.member',
    sender,
    stateKey: target,
    content: { ...content, membership },
  })
}
