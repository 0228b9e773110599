/**
 * GET /_matrix/federation/v1/query/{queryType}: any but the known ones, which have files of their own.
 * spec: v1.19 server-server-api.md#get_matrixfederationv1queryquerytype
 */
import { ApiError } from '../answer.ts'
import type { Endpoint } from '../request.ts'
import type { Services } from '../services.ts'

export const query: Endpoint<Services> = {
  method: 'GET',
  path: '/_matrix/federation/v1/query/{queryType}',
  repeatable: true,
  handle: () => Promise.reject(new ApiError(404, 'M_UNRECOGNIZED', 'no such type of query is known here')),
}
