/** POST /_matrix/federation/v1/user/keys/claim. spec: v1.19 server-server-api.md#post_matrixfederationv1userkeysclaim */
import type { JsonObject } from '@plexus/core'
import * as v from 'valibot'
import { MAX_KEYS_ANSWER_BYTES, MAX_QUERIED_DEVICES, MAX_QUERIED_USERS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { bodyOf, type Endpoint } from '../request.ts'
import { jsonObject, mapOf, type Schema } from '../schema.ts'
import type { Services } from '../services.ts'
import { localUser } from './local-user.ts'

const PATH = '/_matrix/federation/v1/user/keys/claim'

const name: Schema<string> = v.pipe(v.string(), v.maxLength(255))
const devices = mapOf(name, name, MAX_QUERIED_DEVICES)
const body = v.object({ one_time_keys: mapOf(v.string(), devices, MAX_QUERIED_USERS) })

/** The same request gets the same keys again, so a repeated one takes none away. */
export const userKeysClaim: Endpoint<Services> = {
  method: 'POST',
  path: PATH,
  repeatable: true,
  async handle(services, request) {
    const { one_time_keys: claims } = bodyOf(request, body)
    for (const user of Object.keys(claims)) localUser(services, user)
    return { json: await services.queries.claimKeys(request.origin, request.requestId, claims) }
  },
}

export function userKeysClaimCall(
  oneTimeKeys: Readonly<Record<string, Readonly<Record<string, string>>>>,
): Call<JsonObject> {
  return {
    method: 'POST',
    uri: uriOf(PATH),
    content: { one_time_keys: oneTimeKeys },
    answer: jsonObject,
    maxBytes: MAX_KEYS_ANSWER_BYTES,
  }
}
