// POST /_matrix/media/v3/upload https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload
import { metadataOf } from './media-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const mediaUpload: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/media/v3/upload',
  aliases: ['/_matrix/media/r0/upload', '/_matrix/media/v1/upload'],
  auth: 'user',
  rateLimit: 'media',
  querySchema: v.object({ filename: v.optional(v.string()) }),
  async handler({ engine, requester, request, query, readBytes }) {
    const { media } = engine.users
    const bytes = await readBytes(media.maxUploadBytes)
    const mediaId = await media.upload(requester.userId, bytes, metadataOf(request, query.filename))
    return { content_uri: `mxc://${engine.serverName}/${mediaId}` }
  },
})
