// GET /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomidsessionid
import { backupQuery } from './backup-keys-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'

export const backupSession: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}',
  auth: 'user',
  pathSchema: v.object({ roomId: v.string(), sessionId: v.string() }),
  querySchema: backupQuery,
  async handler({ engine, requester, path, query }) {
    const rooms = await engine.users.backups.keys(requester.userId, query.version, path)
    const [session] = Object.values(Object.values(rooms)[0] ?? {})
    if (session === undefined) throw notFound('there is no such key in the backup')
    return session
  },
})
