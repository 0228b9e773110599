// GET /_matrix/client/v3/room_keys/version https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversion
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const newestBackup: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/room_keys/version',
  auth: 'user',
  async handler({ engine, requester }) {
    return { ...(await engine.users.backups.version(requester.userId)) }
  },
})
