/** POST /_matrix/key/v2/query. spec: v1.19 server-server-api.md#post_matrixkeyv2query */
import type { ServerName } from '@plexus/core'
import * as v from 'valibot'
import { canonicalAnswer } from '../answer.ts'
import { MAX_NOTARY_KEYS, MAX_NOTARY_SERVERS } from '../bounds.ts'
import { bodyOf, type OpenEndpoint } from '../request.ts'
import { mapOf, serverName } from '../schema.ts'
import type { Services } from '../services.ts'

const criteria = v.object({
  minimum_valid_until_ts: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
})

const body = v.object({
  server_keys: mapOf(serverName, mapOf(v.string(), criteria, MAX_NOTARY_KEYS), MAX_NOTARY_SERVERS),
})

export const notaryQueries: OpenEndpoint<Services> = {
  method: 'POST',
  path: '/_matrix/key/v2/query',
  open: true,
  async handle({ keys, clock }, request) {
    const asked = new Map<ServerName, number>()
    for (const [server, wanted] of Object.entries(bodyOf(request, body).server_keys)) {
      const times = Object.values(wanted).map((each) => each.minimum_valid_until_ts ?? clock.now())
      asked.set(server as ServerName, times.length === 0 ? clock.now() : Math.max(...times))
    }
    return canonicalAnswer({ server_keys: await keys.notarised(asked) })
  },
}
