// PUT /_matrix/client/v3/directory/room/{roomAlias} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directoryroomroomalias
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError } from '../../matrix-error.ts'
import { roomAlias, roomId } from '../../schemas.ts'
import { checkAliasIsFree } from '../app-services/alias-reserved.ts'
import { requireMember } from './common.ts'

export const putAlias: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/directory/room/{roomAlias}',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: v.object({ roomAlias }),
  bodySchema: v.object({ room_id: roomId }),
  handler: async ({ engine, service, requester, path, body }) => {
    checkAliasIsFree(engine, service, path.roomAlias)
    await requireMember(engine, requester, body.room_id)
    const outcome = await engine.roomDirectory.create(path.roomAlias, body.room_id, requester.userId)
    if (outcome === 'taken') throw new MatrixError(409, 'M_UNKNOWN', 'the room alias is taken')
    return {}
  },
})
