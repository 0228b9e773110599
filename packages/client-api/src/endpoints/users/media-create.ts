// POST /_matrix/media/v1/create https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const mediaCreate: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/media/v1/create',
  auth: 'user',
  rateLimit: 'media',
  async handler({ engine, requester }) {
    const { mediaId, expiresAt } = await engine.users.media.create(requester.userId)
    return { content_uri: `mxc://${engine.serverName}/${mediaId}`, unused_expires_at: expiresAt }
  },
})
