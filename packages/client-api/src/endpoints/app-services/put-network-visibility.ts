// PUT /_matrix/client/v3/directory/list/appservice/{networkId}/{roomId} https://spec.matrix.org/v1.19/application-service-api/#put_matrixclientv3directorylistappservicenetworkidroomid
import { networkInstance } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden, notFound } from '../../matrix-error.ts'
import { roomId, shortText } from '../../schemas.ts'

export const putNetworkVisibility: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: v.object({ networkId: shortText, roomId }),
  bodySchema: v.object({ visibility: v.picklist(['public', 'private']) }),
  async handler({ engine, service, path, body }) {
    if (service === undefined) throw forbidden('this is for application services')
    if ((await engine.rooms.snapshot(path.roomId)) === undefined) throw notFound('there is no such room')
    const network = networkInstance(service, path.networkId)
    await engine.roomDirectory.setPublished(path.roomId, body.visibility === 'public', network)
    return {}
  },
})
