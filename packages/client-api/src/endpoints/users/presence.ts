// GET /_matrix/client/v3/presence/{userId}/status https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3presenceuseridstatus
import { presenceContent } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden } from '../../matrix-error.ts'
import { userId } from '../../schemas.ts'

export const presence: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/presence/{userId}/status',
  auth: 'user',
  pathSchema: v.object({ userId }),
  async handler({ engine, requester, path }) {
    if (!(await engine.presence.maySee(requester.userId, path.userId)))
      throw forbidden('you share no room with this user')
    const record = engine.presence.get(path.userId)
    return record === undefined ? { presence: 'offline' } : presenceContent(record, engine.clock.now())
  },
})
