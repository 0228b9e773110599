// GET /_matrix/client/v3/presence/{userId}/status https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3presenceuseridstatus
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { userId } from '../../schemas.ts'

export const presence: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/presence/{userId}/status',
  auth: 'user',
  pathSchema: v.object({ userId }),
  async handler({ engine, path }) {
    const record = engine.users.presence.get(path.userId)
    if (record === undefined) {
      if (!(await engine.users.accounts.exists(path.userId))) throw notFound('nothing is known of this user')
      return { presence: 'offline' }
    }
    const { presence, statusMessage, lastActiveAt } = record
    return {
      presence,
      last_active_ago: Math.max(0, engine.clock.now() - lastActiveAt),
      currently_active: presence === 'online',
      ...(statusMessage === undefined ? {} : { status_msg: statusMessage }),
    }
  },
})
