// DELETE /_matrix/client/v3/directory/room/{roomAlias} https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3directoryroomroomalias
import { isJsonObject, ownValue, stateKey } from '@plexus/core'
import type { JsonObject, RoomAlias, RoomId } from '@plexus/core'
import { RoomError } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { roomAlias } from '../../schemas.ts'
import { checkAliasIsFree } from '../app-services/alias-reserved.ts'
import type { ApiEngine, Requester } from '../../services.ts'

const CANONICAL_ALIAS = 'm.room.canonical_alias'

export const deleteAlias: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/directory/room/{roomAlias}',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: v.object({ roomAlias }),
  handler: async ({ engine, service, requester, path }) => {
    checkAliasIsFree(engine, service, path.roomAlias)
    // A service may manage whatever is in its namespace.
    const by = service === undefined ? requester.userId : undefined
    const roomId = await engine.roomDirectory.remove(path.roomAlias, by)
    await forget(engine, requester, roomId, path.roomAlias)
    return {}
  },
})

/** Takes the alias out of the room's state; that the user may not do so does not bring it back. */
async function forget(
  engine: ApiEngine,
  requester: Requester,
  roomId: RoomId,
  alias: RoomAlias,
): Promise<void> {
  try {
    const [event] = await engine.reader.state(requester, roomId, [stateKey(CANONICAL_ALIAS, '')])
    const old = event?.['content']
    const content = isJsonObject(old) ? without(old, alias) : undefined
    if (content === undefined) return
    await engine.rooms.send(roomId, {
      type: CANONICAL_ALIAS,
      sender: requester.userId,
      stateKey: '',
      content,
    })
  } catch (error) {
    if (!(error instanceof RoomError)) throw error
    engine.log.log('info', 'a room keeps an alias in its state', { roomId, errcode: error.errcode })
  }
}

/** `undefined` when it does not name the alias. */
function without(content: JsonObject, alias: RoomAlias): JsonObject | undefined {
  const { alias: main, alt_aliases: _, ...rest } = content
  const listed = ownValue(content, 'alt_aliases')
  const others = Array.isArray(listed) ? listed : []
  if (main !== alias && !others.includes(alias)) return undefined
  const kept = others.filter((other) => other !== alias)
  return {
    ...rest,
    ...(main === undefined || main === alias ? {} : { alias: main }),
    ...(kept.length === 0 ? {} : { alt_aliases: kept }),
  }
}
