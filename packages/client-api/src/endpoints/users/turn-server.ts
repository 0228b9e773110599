// GET /_matrix/client/v3/voip/turnServer https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const turnServer: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/voip/turnServer',
  auth: 'user',
  handler: () => ({}),
})
