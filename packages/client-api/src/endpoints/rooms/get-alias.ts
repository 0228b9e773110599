// GET /_matrix/client/v3/directory/room/{roomAlias} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { roomAlias } from '../../schemas.ts'
import { resolveAlias } from '../app-services/resolve-alias.ts'

export const getAlias: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/directory/room/{roomAlias}',
  auth: 'none',
  rateLimit: 'lookup',
  pathSchema: v.object({ roomAlias }),
  handler: async ({ engine, service, path, signal }) => {
    const { roomId, servers } = await resolveAlias({ engine, service, signal }, path.roomAlias)
    return { room_id: roomId, servers }
  },
})
