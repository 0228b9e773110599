// PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey
import { isJsonObject, ownValue, parseRoomAlias, stateKey as keyOf } from '@plexus/core'
import type { JsonObject, JsonValue, RoomId } from '@plexus/core'
import { RoomError } from '@plexus/engine'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, invalidParam } from '../../matrix-error.ts'
import { eventContent, timestampQuery } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { changeMembership } from './member-state.ts'
import { atStateKey } from './common.ts'
import { timestampOf } from './send-common.ts'

export const putState: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}',
  aliases: ['/_matrix/client/v3/rooms/{roomId}/state/{eventType}'],
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: atStateKey,
  querySchema: timestampQuery,
  bodySchema: eventContent,
  handler: async ({ engine, service, requester, path, query, body, signal }) => {
    const time = timestampOf(service, query)
    const { roomId, eventType, stateKey } = path
    if (eventType === 'm.room.member') {
      const change = { stateKey, content: body, ...time }
      return { event_id: await changeMembership({ engine, service, signal }, requester, roomId, change) }
    }
    // spec: rooms/v12.md "Authorization rules" 1: the room begins with it.
    if (eventType === 'm.room.create') throw invalidParam('a room has one m.room.create event')
    if (eventType === 'm.room.canonical_alias') await checkAliases(engine, requester, roomId, body, signal)
    const event = { type: eventType, sender: requester.userId, stateKey, content: body, ...time }
    return { event_id: await engine.rooms.send(roomId, event) }
  },
})

/** New aliases must be well-formed and lead to the room. */
async function checkAliases(
  engine: ApiEngine,
  requester: Requester,
  roomId: RoomId,
  content: JsonObject,
  signal: AbortSignal,
): Promise<void> {
  const old = new Set(aliasesIn(await currentContent(engine, requester, roomId)))
  for (const text of aliasesIn(content)) {
    if (old.has(text)) continue
    const alias = typeof text === 'string' ? parseRoomAlias(text) : undefined
    if (alias === undefined) throw invalidParam('an alias is not a room alias')
    const target = await engine.roomDirectory.resolve(alias, signal).catch((error: unknown) => {
      if (error instanceof RoomError && error.errcode === 'M_NOT_FOUND') return undefined
      throw error
    })
    if (target?.roomId !== roomId)
      throw new MatrixError(400, 'M_BAD_ALIAS', 'an alias does not lead to this room')
  }
}

async function currentContent(engine: ApiEngine, requester: Requester, roomId: RoomId): Promise<JsonObject> {
  const [event] = await engine.reader.state(requester, roomId, [keyOf('m.room.canonical_alias', '')])
  const content = event?.['content']
  return isJsonObject(content) ? content : {}
}

function aliasesIn(content: JsonObject): readonly JsonValue[] {
  const alias = ownValue(content, 'alias')
  const others = ownValue(content, 'alt_aliases') ?? []
  if (!Array.isArray(others)) throw invalidParam('alt_aliases must be an array')
  return alias === undefined || alias === null || alias === '' ? others : [alias, ...others]
}
