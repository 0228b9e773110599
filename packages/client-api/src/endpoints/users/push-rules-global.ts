// GET /_matrix/client/v3/pushrules/global https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobal
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const pushRulesGlobal: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/pushrules/global',
  auth: 'user',
  async handler({ engine, requester }) {
    return { ...(await engine.users.pushRules.ruleset(requester.userId)) }
  },
})
