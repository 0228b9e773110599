// PUT /_matrix/media/v3/upload/{serverName}/{mediaId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid
import { metadataOf } from './media-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden } from '../../matrix-error.ts'
import { serverName } from '../../schemas.ts'

export const mediaComplete: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/media/v3/upload/{serverName}/{mediaId}',
  auth: 'user',
  rateLimit: 'media',
  pathSchema: v.object({ serverName, mediaId: v.string() }),
  querySchema: v.object({ filename: v.optional(v.string()) }),
  async handler({ engine, requester, request, path, query, readBytes }) {
    if (path.serverName !== engine.serverName) throw forbidden('the media id is of another server')
    const { media } = engine.users
    const bytes = await readBytes(media.maxUploadBytes)
    await media.complete(requester.userId, path.mediaId, bytes, metadataOf(request, query.filename))
    return {}
  },
})
