// GET /_matrix/client/v3/login https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { SERVICE_LOGIN } from './session.ts'

export const loginFlows: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/login',
  auth: 'none',
  rateLimit: 'login',
  handler: ({ engine }) => ({
    flows: [
      { type: 'm.login.password' },
      { type: 'm.login.token', get_login_token: true },
      ...(engine.appServices.all.length === 0 ? [] : [{ type: SERVICE_LOGIN }]),
    ],
  }),
})
