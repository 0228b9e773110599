// GET /_matrix/client/v3/thirdparty/protocols https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocols
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const thirdPartyProtocols: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/thirdparty/protocols',
  auth: 'user',
  rateLimit: 'lookup',
  handler: ({ engine }) => engine.appServices.thirdParty.protocols(),
})
