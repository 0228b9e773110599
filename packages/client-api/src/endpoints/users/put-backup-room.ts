// PUT /_matrix/client/v3/room_keys/keys/{roomId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomid
import { backupQuery, putBackup, sessions } from './backup-keys-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const putBackupRoom: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/room_keys/keys/{roomId}',
  auth: 'user',
  pathSchema: v.object({ roomId: v.string() }),
  querySchema: backupQuery,
  bodySchema: sessions,
  async handler({ engine, requester, path, query, body }) {
    return putBackup(engine, requester, query.version, { [path.roomId]: body.sessions })
  },
})
