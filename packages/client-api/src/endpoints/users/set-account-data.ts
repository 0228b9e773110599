// PUT /_matrix/client/v3/user/{userId}/account_data/{type} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridaccount_datatype
import { checkAccountDataType } from './account-data-type.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { jsonObject, shortText, userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const setAccountData: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/user/{userId}/account_data/{type}',
  auth: 'user',
  pathSchema: v.object({ userId, type: shortText }),
  bodySchema: jsonObject,
  async handler({ engine, requester, path, body }) {
    checkSelf(requester, path.userId)
    checkAccountDataType(path.type)
    await engine.users.accountData.set(path.userId, undefined, path.type, body)
    return {}
  },
})
