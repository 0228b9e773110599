// GET /_matrix/client/v1/register/m.login.registration_token/validity https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1registermloginregistration_tokenvalidity
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError } from '../../matrix-error.ts'

export const registrationTokenValidity: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/register/m.login.registration_token/validity',
  auth: 'none',
  rateLimit: 'login',
  querySchema: v.object({ token: v.string() }),
  handler({ engine, query }) {
    const { registration } = engine.users
    if (registration.mode === 'closed')
      throw new MatrixError(403, 'M_FORBIDDEN', 'this server takes no new accounts')
    return { valid: registration.isToken(query.token) }
  },
})
