// GET /_matrix/client/v1/media/preview_url https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url
// GET /_matrix/media/v3/preview_url https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3preview_url
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { unrecognized } from '../../matrix-error.ts'
import { queryInteger } from '../../schemas.ts'

/** In UTF-16 code units. */
const MAX_URL_LENGTH = 2_048

const url: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.maxLength(MAX_URL_LENGTH, `must be at most ${MAX_URL_LENGTH} characters`),
  v.regex(/^https?:/i, 'must be an http or https URL'),
  v.url('must be a URL'),
  // What follows # is for the reader alone.
  v.transform((text) => new URL(text).href.replace(/#.*/s, '')),
)

export const previewUrl: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/media/preview_url',
  aliases: ['/_matrix/media/v3/preview_url', '/_matrix/media/r0/preview_url'],
  auth: 'user',
  rateLimit: 'lookup',
  // The newest version of a page is what there is, at whatever time it is wanted.
  querySchema: v.object({ url, ts: v.optional(queryInteger(0, Number.MAX_SAFE_INTEGER)) }),
  async handler({ engine, query }) {
    const { previews } = engine.users
    if (previews === undefined) throw unrecognized(404, 'this server makes no URL previews')
    return previews.preview(query.url)
  },
})
