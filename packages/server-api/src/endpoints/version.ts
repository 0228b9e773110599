/** GET /_matrix/federation/v1/version. spec: v1.19 server-server-api.md#get_matrixfederationv1version */
import type { OpenEndpoint } from '../request.ts'
import type { Services } from '../services.ts'

export const version: OpenEndpoint<Services> = {
  method: 'GET',
  path: '/_matrix/federation/v1/version',
  open: true,
  handle: async ({ software }) => ({ json: { server: { name: software.name, version: software.version } } }),
}
