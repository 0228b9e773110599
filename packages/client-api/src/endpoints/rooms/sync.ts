// GET /_matrix/client/v3/sync https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
import { NO_SYNC_FILTER, parseSyncFilter, parseSyncToken } from '@plexus/engine'
import type { StateKind, SyncFilter } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { queryBoolean, queryInteger } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { jsonOf } from './common.ts'

const MAX_TIMEOUT_MS = 120_000

export const sync: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/sync',
  auth: 'user',
  querySchema: v.object({
    filter: v.optional(v.string()),
    since: v.optional(v.string()),
    full_state: v.optional(queryBoolean, 'false'),
    set_presence: v.optional(v.picklist(['offline', 'online', 'unavailable']), 'online'),
    timeout: v.optional(queryInteger(0, MAX_TIMEOUT_MS), '0'),
    use_state_after: v.optional(queryBoolean, 'false'),
    // The name before v1.16, which matrix-js-sdk asks for.
    'org.matrix.msc4222.use_state_after': v.optional(queryBoolean, 'false'),
  }),
  handler: async ({ engine, requester, query, signal }) => {
    const since = query.since === undefined || query.since === '' ? undefined : parseSyncToken(query.since)
    if (since === undefined && query.since !== undefined && query.since !== '') {
      throw invalidParam('since is not a token of this server')
    }
    const filter = await filterOf(engine, requester, query.filter)
    engine.presence.syncing(requester, query.set_presence, query.timeout)
    return engine.sync.sync({
      recipient: requester,
      ...(since === undefined ? {} : { since }),
      filter,
      fullState: query.full_state,
      stateKind: stateKindOf(query.use_state_after, query['org.matrix.msc4222.use_state_after']),
      timeoutMs: query.timeout,
      signal,
    })
  },
})

function stateKindOf(after: boolean, unstable: boolean): StateKind {
  if (after) return 'state_after'
  return unstable ? 'org.matrix.msc4222.state_after' : 'state'
}

/** The id of a filter, or a filter as JSON. */
async function filterOf(
  engine: ApiEngine,
  { userId }: Requester,
  text: string | undefined,
): Promise<SyncFilter> {
  if (text === undefined || text === '') return NO_SYNC_FILTER
  const json = text.startsWith('{') ? jsonOf(text) : await engine.users.filters.get(userId, text)
  const filter = json === undefined ? undefined : parseSyncFilter(json)
  if (filter === undefined) throw invalidParam('there is no such filter')
  return filter
}
