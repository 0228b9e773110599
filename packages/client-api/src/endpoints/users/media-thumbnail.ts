// GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid
import { thumbnail, thumbnailQuery } from './media-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { serverName } from '../../schemas.ts'

export const mediaThumbnail: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}',
  auth: 'user',
  rateLimit: 'media',
  pathSchema: v.object({ serverName, mediaId: v.string() }),
  querySchema: thumbnailQuery,
  handler: ({ engine, path, query, signal }) => thumbnail(engine, path, query, signal),
})
