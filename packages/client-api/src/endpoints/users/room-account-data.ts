// GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidaccount_datatype
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { roomId, userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const roomAccountData: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}',
  auth: 'user',
  pathSchema: v.object({ userId, roomId, type: v.string() }),
  async handler({ engine, requester, path }) {
    checkSelf(requester, path.userId)
    const content = await engine.users.accountData.get(path.userId, path.roomId, path.type)
    if (content === undefined) throw notFound('there is no such account data')
    return content
  },
})
