// GET /_matrix/client/v3/room_keys/version/{version} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversionversion
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const backup: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/room_keys/version/{version}',
  auth: 'user',
  pathSchema: v.object({ version: v.string() }),
  async handler({ engine, requester, path }) {
    return { ...(await engine.users.backups.version(requester.userId, path.version)) }
  },
})
