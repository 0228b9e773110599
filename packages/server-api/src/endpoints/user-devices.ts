/** GET /_matrix/federation/v1/user/devices/{userId}. spec: v1.19 server-server-api.md#get_matrixfederationv1userdevicesuserid */
import type { JsonObject, UserId } from '@plexus/core'
import { MAX_KEYS_ANSWER_BYTES } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import type { Endpoint } from '../request.ts'
import { jsonObject } from '../schema.ts'
import type { Services } from '../services.ts'
import { localUser } from './local-user.ts'

const PATH = '/_matrix/federation/v1/user/devices/{userId}'

export const userDevices: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  async handle(services, request) {
    const user = localUser(services, request.path['userId'])
    return { json: await services.queries.devices(request.origin, user) }
  },
}

export function userDevicesCall(user: UserId): Call<JsonObject> {
  const uri = uriOf(PATH, { userId: user })
  return { method: 'GET', uri, answer: jsonObject, maxBytes: MAX_KEYS_ANSWER_BYTES }
}
