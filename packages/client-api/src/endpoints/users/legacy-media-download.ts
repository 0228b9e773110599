// GET /_matrix/media/v3/download/{serverName}/{mediaId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3downloadservernamemediaid
import { checkLegacy, download, mediaTimeout } from './media-common.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { queryBoolean, serverName } from '../../schemas.ts'

export const legacyMediaDownload: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/media/v3/download/{serverName}/{mediaId}',
  aliases: [
    '/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}',
    '/_matrix/media/r0/download/{serverName}/{mediaId}',
    '/_matrix/media/r0/download/{serverName}/{mediaId}/{fileName}',
  ],
  auth: 'optional',
  rateLimit: 'media',
  pathSchema: v.object({ serverName, mediaId: v.string(), fileName: v.optional(v.string()) }),
  querySchema: v.object({ timeout_ms: mediaTimeout, allow_remote: v.optional(queryBoolean, 'true') }),
  handler({ engine, requester, path, query, signal }) {
    checkLegacy(engine, requester, path.serverName, query.allow_remote)
    return download(engine, path, { timeoutMs: query.timeout_ms, signal })
  },
})
