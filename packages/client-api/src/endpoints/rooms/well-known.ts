// GET /.well-known/matrix/client https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const wellKnown: Endpoint = endpoint({
  method: 'GET',
  path: '/.well-known/matrix/client',
  auth: 'none',
  // Whoever asks here has found the server: its address is where the request came to.
  handler: ({ request }) => ({ 'm.homeserver': { base_url: new URL(request.url).origin } }),
})
