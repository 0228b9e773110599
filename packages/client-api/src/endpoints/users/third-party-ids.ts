// GET /_matrix/client/v3/account/3pid https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3account3pid
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const thirdPartyIds: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/account/3pid',
  auth: 'user',
  handler: () => ({ threepids: [] }),
})
