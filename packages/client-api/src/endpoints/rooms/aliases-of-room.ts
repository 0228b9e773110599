// GET /_matrix/client/v3/rooms/{roomId}/aliases https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { inRoom, requireMember } from './common.ts'

export const aliasesOfRoom: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/aliases',
  auth: 'user',
  pathSchema: inRoom,
  handler: async ({ engine, requester, path }) => {
    await requireMember(engine, requester, path.roomId)
    return { aliases: await engine.roomDirectory.aliasesOf(path.roomId) }
  },
})
