/** GET /_matrix/key/v2/server. spec: v1.19 server-server-api.md#get_matrixkeyv2server */
import { uriOf, type Call } from '../call.ts'
import type { JsonObject } from '@plexus/core'
import { canonicalAnswer } from '../answer.ts'
import type { OpenEndpoint } from '../request.ts'
import { jsonObject } from '../schema.ts'
import type { Services } from '../services.ts'

const PATH = '/_matrix/key/v2/server'

/** Old servers name a key id after the path; the answer has all keys either way. */
export const serverKeys: readonly OpenEndpoint<Services>[] = [PATH, `${PATH}/`, `${PATH}/{keyId}`].map(
  (path) => ({
    method: 'GET',
    path,
    open: true,
    handle: async ({ keys }) => canonicalAnswer(await keys.own()),
  }),
)

export function serverKeysCall(): Call<JsonObject> {
  return { method: 'GET', uri: uriOf(PATH), answer: jsonObject }
}
