// GET /_matrix/client/v3/room_keys/keys https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeys
import { backupQuery } from './backup-keys-common.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const backupKeys: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/room_keys/keys',
  auth: 'user',
  querySchema: backupQuery,
  async handler({ engine, requester, query }) {
    const rooms = await engine.users.backups.keys(requester.userId, query.version, {})
    return { rooms: Object.fromEntries(Object.entries(rooms).map(([id, sessions]) => [id, { sessions }])) }
  },
})
