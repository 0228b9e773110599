/** GET /_matrix/key/v2/query/{serverName}. spec: v1.19 server-server-api.md#get_matrixkeyv2queryservername */
import type { JsonObject, ServerName } from '@plexus/core'
import * as v from 'valibot'
import { canonicalAnswer } from '../answer.ts'
import { MAX_NOTARY_SERVERS } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { pathOf, queryOf, type OpenEndpoint } from '../request.ts'
import { jsonObject, listOf, serverName, type Schema } from '../schema.ts'
import type { Services } from '../services.ts'

const PATH = '/_matrix/key/v2/query/{serverName}'
const MINIMUM = 'minimum_valid_until_ts'

const timestamp: Schema<string> = v.pipe(v.string(), v.regex(/^[0-9]{1,15}$/, 'not a timestamp'))

export const notaryQuery: OpenEndpoint<Services> = {
  method: 'GET',
  path: PATH,
  open: true,
  async handle({ keys, clock }, request) {
    const server = pathOf(request, 'serverName', serverName)
    const until = request.query.has(MINIMUM) ? Number(queryOf(request, MINIMUM, timestamp)) : clock.now()
    return canonicalAnswer({ server_keys: await keys.notarised(new Map([[server, until]])) })
  },
}

const answer = v.pipe(
  v.object({ server_keys: listOf(jsonObject, MAX_NOTARY_SERVERS) }),
  v.transform(({ server_keys: documents }) => documents),
)

export function notaryQueryCall(server: ServerName, until: number): Call<readonly JsonObject[]> {
  const query = [[MINIMUM, String(until)]] as const
  return { method: 'GET', uri: uriOf(PATH, { serverName: server }, query), answer }
}
