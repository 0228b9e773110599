// GET /_matrix/client/v3/profile/{userId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuserid
import { checkLookup } from './profile-lookup.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'

export const profile: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/profile/{userId}',
  auth: 'optional',
  rateLimit: 'lookup',
  pathSchema: v.object({ userId }),
  async handler({ engine, service, requester, path, signal }) {
    checkLookup(engine, requester, path.userId)
    await engine.appServices.askForUser(path.userId, service)
    return engine.users.profiles.get(path.userId, { signal })
  },
})
