/**
 * GET /_matrix/federation/v1/media/download/{mediaId}.
 * spec: v1.19 server-server-api.md#get_matrixfederationv1mediadownloadmediaid
 */
import * as v from 'valibot'
import { uriOf } from '../call.ts'
import { BOUNDARY_RANDOM_BYTES, encodeMedia } from '../multipart.ts'
import { pathOf, type Endpoint } from '../request.ts'
import type { Schema } from '../schema.ts'
import type { Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/media/download/{mediaId}'

/** spec: client-server-api "Matrix Content (mxc://) URIs" */
export const mediaId: Schema<string> = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,255}$/, 'not a media id'))

export const mediaDownload: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle({ queries, random }, request) {
    const media = await queries.media(request.origin, pathOf(request, 'mediaId', mediaId))
    return encodeMedia(media, random.bytes(BOUNDARY_RANDOM_BYTES))
  },
}

/** The URI of a call whose answer is not JSON. */
export function mediaDownloadUri(id: string): string {
  return uriOf(PATH, { mediaId: id })
}
