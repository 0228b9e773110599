// POST /_matrix/client/v3/createRoom https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
import { DEFAULT_ROOM_VERSION, parseRoomAlias, parseUserId, roomVersion, serverOf } from '@plexus/core'
import type { JsonValue, RoomAlias, RoomId, UserId } from '@plexus/core'
import { canMeet } from '@plexus/core/names'
import { AppServiceError, RoomError, type AppService } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, invalidParam } from '../../matrix-error.ts'
import { eventContent, jsonObject, shortText, userId } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { checkAliasIsFree } from '../app-services/alias-reserved.ts'
import { initialEvents, trustedPeople } from './initial-events.ts'
import type { RoomRequest } from './initial-events.ts'

/** People invited with the making of a room. */
export const MAX_INVITES = 100

const body: v.GenericSchema<unknown, RoomRequest> = v.object({
  visibility: v.optional(v.picklist(['public', 'private']), 'private'),
  preset: v.optional(v.picklist(['private_chat', 'public_chat', 'trusted_private_chat'])),
  room_alias_name: v.optional(shortText),
  name: v.optional(v.string()),
  topic: v.optional(v.string()),
  invite: v.optional(v.pipe(v.array(userId), v.maxLength(MAX_INVITES, `at most ${MAX_INVITES} people`)), []),
  invite_3pid: v.optional(v.array(jsonObject), []),
  room_version: v.optional(v.string()),
  creation_content: v.optional(eventContent, {}),
  initial_state: v.optional(
    v.array(
      v.pipe(
        v.object({ type: shortText, state_key: v.optional(v.string(), ''), content: eventContent }),
        v.check(
          ({ type, state_key: key }) => type !== 'm.room.member' || parseUserId(key) !== undefined,
          'the state key of a member event must be a user id',
        ),
      ),
    ),
    [],
  ),
  is_direct: v.optional(v.boolean(), false),
  power_level_content_override: v.optional(eventContent, {}),
})

export const createRoom: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/createRoom',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  bodySchema: body,
  handler: async ({ engine, service, requester, body }) => {
    if (body.invite_3pid.length > 0) {
      throw new MatrixError(
        400,
        'M_THREEPID_NOT_FOUND',
        'there is no identity server here; invite by link instead',
      )
    }
    checkCanMeet([requester.userId, ...body.invite])
    const alias = await freeAlias(engine, service, body.room_alias_name)
    const roomId = await make(engine, requester, body, alias)
    if (alias !== undefined) await engine.roomDirectory.create(alias, roomId, requester.userId)
    if (body.visibility === 'public') await engine.roomDirectory.setPublished(roomId, true)
    await inviteAll(engine, service, requester, roomId, body)
    return { room_id: roomId }
  },
})

/** A room that could not hold those who it is made for is not made. */
function checkCanMeet(users: readonly UserId[]): void {
  const servers = [...new Set(users.map(serverOf))]
  if (servers.some((server) => !servers.every(canMeet(server)))) {
    const message =
      'a user of an ordinary homeserver cannot be in a room with a user of a node without a DNS name'
    throw new MatrixError(403, 'M_FORBIDDEN', message)
  }
}

async function freeAlias(
  engine: ApiEngine,
  service: AppService | undefined,
  name: string | undefined,
): Promise<RoomAlias | undefined> {
  if (name === undefined) return undefined
  const alias = /[:\s\0]/.test(name) ? undefined : parseRoomAlias(`#${name}:${engine.serverName}`)
  if (alias === undefined) throw invalidParam('room_alias_name is not the local part of an alias')
  checkAliasIsFree(engine, service, alias)
  if (await engine.roomDirectory.holds(alias)) {
    throw new MatrixError(400, 'M_ROOM_IN_USE', 'the room alias is taken')
  }
  return alias
}

async function make(
  engine: ApiEngine,
  { userId }: Requester,
  body: RoomRequest,
  alias: RoomAlias | undefined,
): Promise<RoomId> {
  const profile = await engine.users.profiles.memberContent(userId)
  const version = roomVersion(body.room_version ?? DEFAULT_ROOM_VERSION)
  if (version === undefined) {
    throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', 'this node does not know that room version')
  }
  const trusted = version.creatorsAreInfinite ? trustedPeople(body) : []
  const creators = [...new Set([...listOf(body.creation_content['additional_creators']), ...trusted])]
  try {
    return await engine.rooms.create({
      creator: userId,
      version: version.id,
      creationContent: {
        ...body.creation_content,
        ...(trusted.length === 0 ? {} : { additional_creators: creators }),
      },
      initialState: initialEvents(version, userId, profile, body, alias),
    })
  } catch (error) {
    if (!(error instanceof RoomError) || error.errcode !== 'M_FORBIDDEN') throw error
    throw new MatrixError(400, 'M_INVALID_ROOM_STATE', `the room cannot begin so: ${error.message}`)
  }
}

/** The room exists and its id must reach the client, so that an invite which fails is told by its absence. */
async function inviteAll(
  engine: ApiEngine,
  service: AppService | undefined,
  { userId }: Requester,
  roomId: RoomId,
  body: RoomRequest,
): Promise<void> {
  const content = body.is_direct ? { is_direct: true } : {}
  for (const target of body.invite) {
    try {
      await engine.appServices.askForUser(target, service)
      await engine.rooms.invite(userId, roomId, target, content)
    } catch (error) {
      if (!(error instanceof RoomError || error instanceof AppServiceError)) throw error
      engine.log.log('warn', 'an invite to a new room failed', { roomId, error: error.message })
    }
  }
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : []
}
