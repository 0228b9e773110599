// DELETE /_matrix/client/v3/room_keys/version/{version} https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keysversionversion
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const deleteBackup: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/room_keys/version/{version}',
  auth: 'user',
  pathSchema: v.object({ version: v.string() }),
  async handler({ engine, requester, path }) {
    await engine.users.backups.deleteVersion(requester.userId, path.version)
    return {}
  },
})
