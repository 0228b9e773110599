/**
 * GET /_matrix/federation/v1/media/download/{mediaId}.
 * spec: v1.19 server-server-api.md#get_matrixfederationv1mediadownloadmediaid
 */
import * as v from 'valibot'
import { uriOf } from '../call.ts'
import { BOUNDARY_RANDOM_BYTES, encodeMedia } from '../multipart.ts'
import { pathOf, queryOf, type Endpoint, type ProvenRequest } from '../request.ts'
import type { Schema } from '../schema.ts'
import type { Services } from '../services.ts'

const PATH = '/_matrix/federation/v1/media/download/{mediaId}'

/** spec: client-server-api "Matrix Content (mxc://) URIs" */
export const mediaId: Schema<string> = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,255}$/, 'not a media id'))

const milliseconds: Schema<string> = v.pipe(v.string(), v.regex(/^[0-9]{1,16}$/, 'not a time'))

/** How long the origin waits for an upload that is under way; `media` bounds it and has a default. */
export function uploadTimeout(request: ProvenRequest): { readonly timeoutMs?: number } {
  return request.query.has('timeout_ms')
    ? { timeoutMs: Number(queryOf(request, 'timeout_ms', milliseconds)) }
    : {}
}

export const mediaDownload: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle({ queries, random }, request) {
    const id = pathOf(request, 'mediaId', mediaId)
    const media = await queries.media(request.origin, id, uploadTimeout(request))
    return encodeMedia(media, random.bytes(BOUNDARY_RANDOM_BYTES))
  },
}

/** The URI of a call whose answer is not JSON. */
export function mediaDownloadUri(id: string, uploadTimeoutMs: number | undefined): string {
  const query = uploadTimeoutMs === undefined ? [] : [['timeout_ms', String(uploadTimeoutMs)] as const]
  return uriOf(PATH, { mediaId: id }, query)
}
