// POST /_matrix/client/v1/appservice/{appserviceId}/ping https://spec.matrix.org/v1.19/application-service-api/#post_matrixclientv1appserviceappserviceidping
import { CarrierError } from '@plexus/engine/ports'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, forbidden } from '../../matrix-error.ts'
import { shortText } from '../../schemas.ts'

export const ping: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v1/appservice/{appserviceId}/ping',
  auth: 'user',
  rateLimit: 'lookup',
  pathSchema: v.object({ appserviceId: v.string() }),
  bodySchema: v.object({ transaction_id: v.optional(shortText) }),
  async handler({ engine, service, path, body }) {
    if (service === undefined || service.id !== path.appserviceId)
      throw forbidden('the access token is not the as_token of this application service')
    const result = await engine.appServices.ping(service, body.transaction_id).catch(noAnswer)
    if (result.kind === 'noUrl')
      throw new MatrixError(400, 'M_URL_NOT_SET', 'the application service has no URL')
    if (result.kind === 'refused') {
      const { status, body: text } = result
      throw new MatrixError(502, 'M_BAD_STATUS', `the ping returned ${status}`, { status, body: text })
    }
    return { duration_ms: result.durationMs }
  },
})

function noAnswer(error: unknown): never {
  if (!(error instanceof CarrierError)) throw error
  if (error.code === 'timeout')
    throw new MatrixError(504, 'M_CONNECTION_TIMEOUT', 'the application service did not answer in time')
  throw new MatrixError(502, 'M_CONNECTION_FAILED', 'the application service cannot be reached')
}
