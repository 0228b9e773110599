// PUT /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomidsessionid
import { backupQuery, keyData, putBackup } from './backup-keys-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const putBackupSession: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}',
  auth: 'user',
  pathSchema: v.object({ roomId: v.string(), sessionId: v.string() }),
  querySchema: backupQuery,
  bodySchema: keyData,
  async handler({ engine, requester, path, query, body }) {
    return putBackup(engine, requester, query.version, { [path.roomId]: { [path.sessionId]: body } })
  },
})
