// GET /_matrix/client/v3/voip/turnServer https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const turnServer: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/voip/turnServer',
  auth: 'user',
  // Without a TURN server an empty object, which clients take for none.
  handler: ({ engine, requester }) => ({ ...engine.users.turn.credentials(requester.userId) }),
})
