/**
 * GET /_matrix/federation/v1/media/thumbnail/{mediaId}.
 * spec: v1.19 server-server-api.md#get_matrixfederationv1mediathumbnailmediaid
 */
import { UserError } from '@plexus/engine'
import * as v from 'valibot'
import { ApiError } from '../answer.ts'
import { BOUNDARY_RANDOM_BYTES, encodeMedia } from '../multipart.ts'
import { pathOf, queryOf, type Endpoint, type ProvenRequest } from '../request.ts'
import type { Schema } from '../schema.ts'
import type { Services } from '../services.ts'
import { mediaId, uploadTimeout } from './media-download.ts'

/** In pixels. */
const side: Schema<string> = v.pipe(v.string(), v.regex(/^[1-9][0-9]{0,4}$/, 'not a size in pixels'))
const method: Schema<'crop' | 'scale'> = v.picklist(['crop', 'scale'], 'neither crop nor scale')
const truth: Schema<'true' | 'false'> = v.picklist(['true', 'false'], 'neither true nor false')

const optional = <T extends string>(
  request: ProvenRequest,
  name: string,
  schema: Schema<T>,
  fallback: T,
): T => (request.query.has(name) ? queryOf(request, name, schema) : fallback)

export const mediaThumbnail: Endpoint<Services> = {
  method: 'GET',
  path: '/_matrix/federation/v1/media/thumbnail/{mediaId}',
  async handle({ queries, random }, request) {
    const id = pathOf(request, 'mediaId', mediaId)
    const size = {
      width: Number(queryOf(request, 'width', side)),
      height: Number(queryOf(request, 'height', side)),
      method: optional(request, 'method', method, 'scale'),
      animated: optional(request, 'animated', truth, 'false') === 'true',
    }
    try {
      const thumbnail = await queries.thumbnail(request.origin, id, size, uploadTimeout(request))
      return encodeMedia(thumbnail, random.bytes(BOUNDARY_RANDOM_BYTES))
    } catch (error) {
      if (error instanceof UserError && error.errcode === 'M_UNKNOWN')
        throw new ApiError(400, 'M_UNKNOWN', error.message)
      throw error
    }
  },
}
