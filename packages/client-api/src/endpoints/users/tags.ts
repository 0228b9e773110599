// GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidtags
import { tagsOf } from './tags-content.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { roomId, userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const tags: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags',
  auth: 'user',
  pathSchema: v.object({ userId, roomId }),
  async handler({ engine, requester, path }) {
    checkSelf(requester, path.userId)
    return { tags: tagsOf(await engine.users.accountData.get(path.userId, path.roomId, 'm.tag')) }
  },
})
