/** GET /_matrix/federation/v1/query/directory. spec: v1.19 server-server-api.md#get_matrixfederationv1querydirectory */
import type { RoomId, ServerName } from '@plexus/core'
import { parseRoomAlias, serverOf } from '@plexus/core'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { MAX_ALIAS_SERVERS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import type { Endpoint } from '../request.ts'
import { listOf, roomId, serverName } from '../schema.ts'
import type { Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/query/directory'

export const queryDirectory: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle({ roomDirectory, serverName: own }, request) {
    const text = request.query.get('room_alias')
    if (text === null) throw new ApiError(400, 'M_MISSING_PARAM', 'room_alias is missing')
    const alias = parseRoomAlias(text)
    if (alias === undefined) throw new ApiError(400, 'M_INVALID_PARAM', 'not a room alias')
    const found = serverOf(alias) === own ? await roomDirectory.resolveLocal(alias) : undefined
    if (found === undefined) throw new ApiError(404, 'M_NOT_FOUND', 'the alias is not known here')
    return { json: { room_id: found.roomId, servers: found.servers.slice(0, MAX_ALIAS_SERVERS) } }
  },
}

const answer = v.pipe(
  v.object({ room_id: roomId, servers: listOf(serverName, MAX_ALIAS_SERVERS) }),
  v.transform(({ room_id, servers }) => ({ roomId: room_id, servers })),
)

export function queryDirectoryCall(alias: string): Call<{ roomId: RoomId; servers: readonly ServerName[] }> {
  return { method: 'GET', uri: uriOf(PATH, {}, [['room_alias', alias]]), answer }
}
