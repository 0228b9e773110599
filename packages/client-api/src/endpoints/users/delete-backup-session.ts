// DELETE /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId} https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeysroomidsessionid
import { backupQuery } from './backup-keys-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const deleteBackupSession: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}',
  auth: 'user',
  pathSchema: v.object({ roomId: v.string(), sessionId: v.string() }),
  querySchema: backupQuery,
  async handler({ engine, requester, path, query }) {
    return { ...(await engine.users.backups.deleteKeys(requester.userId, query.version, path)) }
  },
})
