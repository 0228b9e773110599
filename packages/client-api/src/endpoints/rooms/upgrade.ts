// POST /_matrix/client/v3/rooms/{roomId}/upgrade https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidupgrade
import {
  POWER_LEVELS_KEY,
  creatorsOf,
  isJsonObject,
  ownValue,
  requiredEventLevel,
  roomVersion,
  stateKey,
  userPowerLevel,
} from '@plexus/core'
import type { JsonObject, JsonValue, RoomId, RoomVersion, UserId } from '@plexus/core'
import { RoomError } from '@plexus/engine'
import type { CreateRoom, RoomSnapshot } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, forbidden } from '../../matrix-error.ts'
import { userId } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { inRoom } from './common.ts'
import { CREATOR_LEVEL } from './initial-events.ts'

/** People who become creators of the new room besides the one who upgrades. */
export const MAX_ADDITIONAL_CREATORS = 50

/** The highest power level that canonical JSON can say. */
const MAX_LEVEL = Number.MAX_SAFE_INTEGER

/** spec: client-server-api/modules/room_upgrades.md "Server behaviour", item 3 */
const TRANSFERRED: readonly string[] = [
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
  'm.room.guest_access',
  'm.room.server_acl',
  'm.room.encryption',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
]

export const upgrade: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/upgrade',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: inRoom,
  bodySchema: v.object({
    new_version: v.string(),
    additional_creators: v.optional(
      v.pipe(v.array(userId), v.maxLength(MAX_ADDITIONAL_CREATORS, `at most ${MAX_ADDITIONAL_CREATORS}`)),
      [],
    ),
  }),
  handler: async ({ engine, requester, path, body }) => {
    const version = roomVersion(body.new_version)
    if (version === undefined) {
      throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', 'this node does not know that room version')
    }
    const creators = version.creatorsAreInfinite ? body.additional_creators : []
    const old = await requireTombstoneRight(engine, requester, path.roomId)
    const replacement = await replace(engine, requester, old, version, creators)
    await moveAliases(engine, requester, path.roomId, replacement)
    await engine.rooms.send(path.roomId, {
      type: 'm.room.tombstone',
      sender: requester.userId,
      stateKey: '',
      content: { body: 'This room has been replaced', replacement_room: replacement },
    })
    await quieten(engine, requester, path.roomId)
    return { replacement_room: replacement }
  },
})

async function requireTombstoneRight(
  engine: ApiEngine,
  { userId }: Requester,
  roomId: RoomId,
): Promise<RoomSnapshot> {
  const [row, snapshot] = await Promise.all([
    engine.rooms.membership(userId, roomId),
    engine.rooms.snapshot(roomId),
  ])
  if (row?.membership !== 'join' || snapshot === undefined)
    throw forbidden('you are not a member of this room')
  const [levels] = await engine.rooms.stateEvents(snapshot.state, [POWER_LEVELS_KEY])
  const auth = {
    create: snapshot.create,
    get: (key: string) => (key === POWER_LEVELS_KEY ? levels?.pdu : undefined),
  }
  if (
    userPowerLevel(snapshot.version, auth, userId) <
    requiredEventLevel(snapshot.version, auth, 'm.room.tombstone', true)
  ) {
    throw forbidden('your power level does not allow to upgrade this room')
  }
  return snapshot
}

async function replace(
  engine: ApiEngine,
  { userId }: Requester,
  old: RoomSnapshot,
  version: RoomVersion,
  creators: readonly UserId[],
): Promise<RoomId> {
  const profile = await engine.users.profiles.memberContent(userId)
  const keys = TRANSFERRED.map((type) => stateKey(type, ''))
  const records = await engine.rooms.stateEvents(old.state, keys)
  const contents = new Map(records.map(({ pdu }) => [pdu.type, pdu.content]))
  const copied: CreateRoom['initialState'][number][] = TRANSFERRED.flatMap((type) => {
    const content = contents.get(type)
    if (content === undefined) return []
    const kept =
      type === 'm.room.power_levels' ? levelsIn(old, version, content, [userId, ...creators]) : content
    return [{ type, stateKey: '', content: kept }]
  })
  const roomType = ownValue(old.create.content, 'type')
  return engine.rooms.create({
    creator: userId,
    version: version.id,
    creationContent: {
      predecessor: { room_id: old.roomId },
      ...(typeof roomType === 'string' ? { type: roomType } : {}),
      ...(creators.length === 0 ? {} : { additional_creators: creators }),
    },
    initialState: [
      { type: 'm.room.member', stateKey: userId, content: { ...profile, membership: 'join' } },
      ...copied,
    ],
  })
}

/** Creators stand above all levels and must not be listed, or else have the level of one. spec: rooms/v12.md */
function levelsIn(
  old: RoomSnapshot,
  version: RoomVersion,
  levels: JsonObject,
  creators: readonly UserId[],
): JsonObject {
  const users = ownValue(levels, 'users')
  if (old.version.creatorsAreInfinite && !version.creatorsAreInfinite) {
    // Who stood above all levels has the highest, which nobody else has.
    const highest = [...creatorsOf(old.create)].map((user) => [user, MAX_LEVEL] as const)
    const below = mapValues(isJsonObject(users) ? users : {}, (level) =>
      typeof level === 'number' ? Math.min(level, MAX_LEVEL - 1) : level,
    )
    return { ...levels, users: { ...below, ...Object.fromEntries(highest) } }
  }
  const others = Object.entries(isJsonObject(users) ? users : {}).filter(
    ([user]) => !creators.some((creator) => creator === user),
  )
  if (version.creatorsAreInfinite) return { ...levels, users: Object.fromEntries(others) }
  const listed = creators.map((user) => [user, CREATOR_LEVEL] as const)
  return { ...levels, users: Object.fromEntries([...others, ...listed]) }
}

function mapValues(object: JsonObject, change: (value: JsonValue) => JsonValue): JsonObject {
  const entries = Object.entries(object).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, change(value)] as const],
  )
  return Object.fromEntries(entries)
}

/** The aliases that the user may move, and the place in the directory. */
async function moveAliases(
  engine: ApiEngine,
  { userId }: Requester,
  from: RoomId,
  to: RoomId,
): Promise<void> {
  for (const alias of await engine.roomDirectory.aliasesOf(from)) {
    try {
      await engine.roomDirectory.remove(alias, userId)
      await engine.roomDirectory.create(alias, to, userId)
    } catch (error) {
      if (!(error instanceof RoomError)) throw error
      engine.log.log('info', 'an alias stays with the old room', { roomId: from, errcode: error.errcode })
    }
  }
  if (!(await engine.roomDirectory.isPublished(from))) return
  await engine.roomDirectory.setPublished(from, false)
  await engine.roomDirectory.setPublished(to, true)
}

/** Nobody shall go on in the old room by accident; that this cannot be set does not undo the upgrade. */
async function quieten(engine: ApiEngine, { userId }: Requester, roomId: RoomId): Promise<void> {
  const snapshot = await engine.rooms.snapshot(roomId)
  const [levels] =
    snapshot === undefined ? [] : await engine.rooms.stateEvents(snapshot.state, [POWER_LEVELS_KEY])
  const content = levels?.pdu.content ?? {}
  const number = (key: string, otherwise: number): number => {
    const value = ownValue(content, key)
    return typeof value === 'number' ? value : otherwise
  }
  const needed = Math.max(50, number('users_default', 0) + 1)
  const restricted = {
    ...content,
    events_default: Math.max(needed, number('events_default', 0)),
    invite: Math.max(needed, number('invite', 0)),
  }
  try {
    await engine.rooms.send(roomId, {
      type: 'm.room.power_levels',
      sender: userId,
      stateKey: '',
      content: restricted,
    })
  } catch (error) {
    if (!(error instanceof RoomError)) throw error
    engine.log.log('info', 'the old room stays open', { roomId, errcode: error.errcode })
  }
}
