/** POST /_matrix/federation/v1/user/keys/query. spec: v1.19 server-server-api.md#post_matrixfederationv1userkeysquery */
import type { JsonObject } from '@plexus/core'
import * as v from 'valibot'
import { MAX_KEYS_ANSWER_BYTES, MAX_QUERIED_DEVICES, MAX_QUERIED_USERS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { bodyOf, type Endpoint } from '../request.ts'
import { jsonObject, listOf, mapOf } from '../schema.ts'
import type { Services } from '../services.ts'
import { localUser } from './local-user.ts'

const PATH = '/_matrix/federation/v1/user/keys/query'

const deviceIds = listOf(v.pipe(v.string(), v.maxLength(255)), MAX_QUERIED_DEVICES)
const body = v.object({ device_keys: mapOf(v.string(), deviceIds, MAX_QUERIED_USERS) })

export const userKeysQuery: Endpoint<Services> = {
  method: 'POST',
  path: PATH,
  async handle(services, request) {
    const { device_keys: deviceKeys } = bodyOf(request, body)
    for (const user of Object.keys(deviceKeys)) localUser(services, user)
    return { json: await services.queries.queryKeys(request.origin, deviceKeys) }
  },
}

export function userKeysQueryCall(deviceKeys: Readonly<Record<string, readonly string[]>>): Call<JsonObject> {
  return {
    method: 'POST',
    uri: uriOf(PATH),
    content: { device_keys: deviceKeys },
    answer: jsonObject,
    maxBytes: MAX_KEYS_ANSWER_BYTES,
  }
}
