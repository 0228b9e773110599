// PUT /_matrix/client/v3/room_keys/keys https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeys
import { backupQuery, putBackup, sessions } from './backup-keys-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { recordOf } from './common.ts'

export const putBackupKeys: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/room_keys/keys',
  auth: 'user',
  querySchema: backupQuery,
  bodySchema: v.object({ rooms: recordOf(sessions) }),
  async handler({ engine, requester, query, body }) {
    const rooms = Object.fromEntries(Object.entries(body.rooms).map(([id, room]) => [id, room.sessions]))
    return putBackup(engine, requester, query.version, rooms)
  },
})
