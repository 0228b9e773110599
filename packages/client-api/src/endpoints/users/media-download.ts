// GET /_matrix/client/v1/media/download/{serverName}/{mediaId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid
import { download, mediaTimeout } from './media-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { serverName } from '../../schemas.ts'

export const mediaDownload: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/media/download/{serverName}/{mediaId}',
  aliases: ['/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}'],
  auth: 'user',
  rateLimit: 'media',
  pathSchema: v.object({ serverName, mediaId: v.string(), fileName: v.optional(v.string()) }),
  querySchema: v.object({ timeout_ms: mediaTimeout }),
  handler: ({ engine, path, query, signal }) =>
    download(engine, path, { timeoutMs: query.timeout_ms, signal }),
})
