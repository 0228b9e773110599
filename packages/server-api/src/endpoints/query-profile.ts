/** GET /_matrix/federation/v1/query/profile. spec: v1.19 server-server-api.md#get_matrixfederationv1queryprofile */
import type { JsonObject, UserId } from '@plexus/core'
import * as v from 'valibot'
import { uriOf, type Call } from '../call.ts'
import { queryOf, type Endpoint } from '../request.ts'
import { jsonObject, type Schema } from '../schema.ts'
import type { Services } from '../services.ts'
import { localUser } from './local-user.ts'

const PATH = '/_matrix/federation/v1/query/profile'

const fieldName: Schema<string> = v.pipe(v.string(), v.minLength(1), v.maxLength(255))

export const queryProfile: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle(services, request) {
    const user = localUser(services, request.query.get('user_id') ?? undefined)
    const field = request.query.has('field') ? queryOf(request, 'field', fieldName) : undefined
    return { json: await services.queries.profile(request.origin, user, field) }
  },
}

export function queryProfileCall(user: UserId, field: string | undefined): Call<JsonObject> {
  const query: (readonly [string, string])[] = [['user_id', user]]
  if (field !== undefined) query.push(['field', field])
  return { method: 'GET', uri: uriOf(PATH, {}, query), answer: jsonObject }
}
