// GET /_matrix/client/v3/thirdparty/protocol/{protocol} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocolprotocol
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'

export const thirdPartyProtocol: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/thirdparty/protocol/{protocol}',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: v.object({ protocol: v.string() }),
  async handler({ engine, path }) {
    const found = await engine.appServices.thirdParty.protocol(path.protocol)
    if (found === undefined) throw notFound('no bridge to such a network is here')
    return found
  },
})
