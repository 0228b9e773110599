// DELETE /_matrix/client/v3/directory/room/{roomAlias} https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3directoryroomroomalias
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { roomAlias } from '../../schemas.ts'
import { checkAliasIsFree } from '../app-services/alias-reserved.ts'

export const deleteAlias: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/directory/room/{roomAlias}',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: v.object({ roomAlias }),
  handler: async ({ engine, service, requester, path }) => {
    checkAliasIsFree(engine, service, path.roomAlias)
    // A service may manage whatever is in its namespace.
    await engine.roomDirectory.remove(path.roomAlias, service === undefined ? requester.userId : undefined)
    return {}
  },
})
