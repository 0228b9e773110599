// POST /_matrix/client/v3/login https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login
import { newDevice, sessionAnswer } from './session.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, missingParam } from '../../matrix-error.ts'

export const login: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/login',
  auth: 'none',
  rateLimit: 'login',
  bodySchema: v.object({
    type: v.string(),
    identifier: v.optional(v.object({ type: v.string(), user: v.optional(v.string()) })),
    user: v.optional(v.string()),
    password: v.optional(v.string()),
    device_id: v.optional(v.string()),
    initial_device_display_name: v.optional(v.string()),
  }),
  async handler({ engine, body }) {
    const { type, identifier, password } = body
    if (type !== 'm.login.password')
      throw new MatrixError(400, 'M_UNKNOWN', 'this node knows m.login.password only')
    if (identifier !== undefined && identifier.type !== 'm.id.user') {
      throw new MatrixError(400, 'M_UNKNOWN', 'this node knows users by their id only')
    }
    // The `user` key at the top is of clients before r0.4.
    const user = identifier?.user ?? body.user
    if (user === undefined || password === undefined) throw missingParam('identifier and password are needed')
    return sessionAnswer(engine, await engine.users.accounts.login(user, password, newDevice(body)))
  },
})
