// GET /_matrix/client/v3/register/available https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3registeravailable
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const registerAvailable: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/register/available',
  auth: 'none',
  rateLimit: 'login',
  querySchema: v.object({ username: v.string() }),
  async handler({ engine, service, query }) {
    await engine.users.accounts.checkAvailable(query.username, service)
    return { available: true }
  },
})
