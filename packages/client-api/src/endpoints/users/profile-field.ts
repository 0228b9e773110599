// GET /_matrix/client/v3/profile/{userId}/{keyName} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuseridkeyname
import { checkLookup } from './profile-lookup.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { userId } from '../../schemas.ts'

export const profileField: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/profile/{userId}/{keyName}',
  auth: 'optional',
  rateLimit: 'lookup',
  pathSchema: v.object({ userId, keyName: v.string() }),
  async handler({ engine, service, requester, path, signal }) {
    checkLookup(engine, requester, path.userId)
    await engine.appServices.askForUser(path.userId, service)
    return { [path.keyName]: await engine.users.profiles.field(path.userId, path.keyName, { signal }) }
  },
})
