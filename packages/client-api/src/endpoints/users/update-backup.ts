// PUT /_matrix/client/v3/room_keys/version/{version} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keysversionversion
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { jsonObject, shortText } from '../../schemas.ts'

export const updateBackup: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/room_keys/version/{version}',
  auth: 'user',
  pathSchema: v.object({ version: v.string() }),
  bodySchema: v.object({ algorithm: shortText, auth_data: jsonObject, version: v.optional(v.string()) }),
  async handler({ engine, requester, path, body }) {
    if (body.version !== undefined && body.version !== path.version)
      throw invalidParam('version: not that of the path')
    const { algorithm, auth_data } = body
    await engine.users.backups.updateVersion(requester.userId, path.version, algorithm, auth_data)
    return {}
  },
})
