// GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3thumbnailservernamemediaid
import { checkLegacy, legacyThumbnailQuery, thumbnail } from './media-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { serverName } from '../../schemas.ts'

export const legacyMediaThumbnail: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/media/v3/thumbnail/{serverName}/{mediaId}',
  aliases: ['/_matrix/media/r0/thumbnail/{serverName}/{mediaId}'],
  auth: 'optional',
  rateLimit: 'media',
  pathSchema: v.object({ serverName, mediaId: v.string() }),
  querySchema: legacyThumbnailQuery,
  handler({ engine, requester, path, query, signal }) {
    checkLegacy(engine, requester, path.serverName, query.allow_remote)
    return thumbnail(engine, path, query, signal)
  },
})
