// POST /_matrix/client/v3/room_keys/version https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3room_keysversion
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject, shortText } from '../../schemas.ts'

export const createBackup: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/room_keys/version',
  auth: 'user',
  bodySchema: v.object({ algorithm: shortText, auth_data: jsonObject }),
  async handler({ engine, requester, body }) {
    const { algorithm, auth_data } = body
    return { version: await engine.users.backups.createVersion(requester.userId, algorithm, auth_data) }
  },
})
