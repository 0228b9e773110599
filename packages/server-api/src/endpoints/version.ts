/** GET /_matrix/federation/v1/version. spec: v1.19 server-server-api.md#get_matrixfederationv1version */
import type { Endpoint } from '../request.ts'
import type { Services } from '../services.ts'

export const version: Endpoint<Services> = {
  method: 'GET',
  path: '/_matrix/federation/v1/version',
  repeatable: true,
  handle: async ({ software }) => ({ json: { server: { name: software.name, version: software.version } } }),
}
