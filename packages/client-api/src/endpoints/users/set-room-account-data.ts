// PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidaccount_datatype
import { checkAccountDataType } from './account-data-type.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject, roomId, shortText, userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const setRoomAccountData: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}',
  auth: 'user',
  pathSchema: v.object({ userId, roomId, type: shortText }),
  bodySchema: jsonObject,
  async handler({ engine, requester, path, body }) {
    checkSelf(requester, path.userId)
    checkAccountDataType(path.type)
    await engine.users.accountData.set(path.userId, path.roomId, path.type, body)
    return {}
  },
})
