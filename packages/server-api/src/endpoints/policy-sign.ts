/**
 * POST /_matrix/policy/v1/sign, as it is asked of others: this node is no policy server, and says so by M_UNRECOGNIZED.
 * spec: v1.19 server-server-api.md#post_matrixpolicyv1sign
 */
import type { JsonObject } from '@plexus/core'
import { uriOf, type Call } from '../call.ts'
import { jsonObject } from '../schema.ts'

export function policySignCall(event: JsonObject): Call<JsonObject> {
  return { method: 'POST', uri: uriOf('/_matrix/policy/v1/sign'), content: event, answer: jsonObject }
}
