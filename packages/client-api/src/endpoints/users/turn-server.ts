// GET /_matrix/client/v3/voip/turnServer https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'

export const turnServer: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/voip/turnServer',
  auth: 'user',
  handler({ engine, requester }) {
    const credentials = engine.users.turn.credentials(requester.userId)
    // Of an answer all fields are required. spec: data/api/client-server/voip.yaml
    if (credentials === undefined) throw notFound('this server has no TURN server')
    return { ...credentials }
  },
})
