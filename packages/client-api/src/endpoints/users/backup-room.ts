// GET /_matrix/client/v3/room_keys/keys/{roomId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomid
import { backupQuery } from './backup-keys-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const backupRoom: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/room_keys/keys/{roomId}',
  auth: 'user',
  pathSchema: v.object({ roomId: v.string() }),
  querySchema: backupQuery,
  async handler({ engine, requester, path, query }) {
    const rooms = await engine.users.backups.keys(requester.userId, query.version, { roomId: path.roomId })
    return { sessions: Object.values(rooms)[0] ?? {} }
  },
})
