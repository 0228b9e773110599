// DELETE /_matrix/client/v3/room_keys/keys https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeys
import { backupQuery } from './backup-keys-common.ts'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const deleteBackupKeys: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/room_keys/keys',
  auth: 'user',
  querySchema: backupQuery,
  async handler({ engine, requester, query }) {
    return { ...(await engine.users.backups.deleteKeys(requester.userId, query.version, {})) }
  },
})
