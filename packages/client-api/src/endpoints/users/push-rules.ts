// GET /_matrix/client/v3/pushrules https://spec.matrix.org/v1.19/client-server-api/#_matrixclientv3pushrules
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const pushRules: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/pushrules',
  auth: 'user',
  async handler({ engine, requester }) {
    return { global: await engine.users.pushRules.ruleset(requester.userId) }
  },
})
