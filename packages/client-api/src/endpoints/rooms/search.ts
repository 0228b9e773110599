// POST /_matrix/client/v3/search https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3search
import type { JsonObject, UserId } from '@plexus/core'
import { NO_FILTER, parseEventFilter, SEARCH_KEYS } from '@plexus/engine'
import type { SearchResult, SearchResults } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { jsonObject } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'

/** Results of one page. */
export const MAX_SEARCH_PAGE = 100
const DEFAULT_SEARCH_PAGE = 10
/** Events on one side of a result. */
export const MAX_SEARCH_CONTEXT = 20
const DEFAULT_SEARCH_CONTEXT = 5

const side = v.optional(
  v.pipe(
    v.number(),
    v.integer(),
    v.minValue(0),
    v.transform((count) => Math.min(count, MAX_SEARCH_CONTEXT)),
  ),
  DEFAULT_SEARCH_CONTEXT,
)
const criteria = v.object({
  search_term: v.string(),
  keys: v.optional(v.pipe(v.array(v.picklist(SEARCH_KEYS)), v.maxLength(10))),
  filter: v.optional(jsonObject),
  order_by: v.optional(v.picklist(['rank', 'recent']), 'rank'),
  event_context: v.optional(
    v.object({
      before_limit: side,
      after_limit: side,
      include_profile: v.optional(v.boolean(), false),
    }),
  ),
  include_state: v.optional(v.boolean(), false),
  groupings: v.optional(
    v.object({
      group_by: v.optional(
        v.pipe(v.array(v.object({ key: v.picklist(['room_id', 'sender']) })), v.maxLength(10)),
        [],
      ),
    }),
  ),
})
/** Profiles are wanted of the senders alone: a room may have many members. */
const SENDERS_ALONE = { ...NO_FILTER, lazyLoadMembers: true }
type Criteria = v.InferOutput<typeof criteria>

export const search: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/search',
  auth: 'user',
  querySchema: v.object({ next_batch: v.optional(v.string()) }),
  bodySchema: v.object({ search_categories: v.object({ room_events: v.optional(criteria) }) }),
  async handler({ engine, requester, query, body }) {
    const wanted = body.search_categories.room_events
    if (wanted === undefined) return { search_categories: {} }
    const filter = wanted.filter === undefined ? NO_FILTER : parseEventFilter(wanted.filter)
    if (filter === undefined) throw invalidParam('filter is not a filter')
    const found = await engine.reader.search(requester, {
      term: wanted.search_term,
      keys: wanted.keys ?? SEARCH_KEYS,
      filter,
      order: wanted.order_by,
      groupBy: wanted.groupings?.group_by.map(({ key }) => key) ?? [],
      limit: Math.max(1, Math.min(filter.limit ?? DEFAULT_SEARCH_PAGE, MAX_SEARCH_PAGE)),
      ...(query.next_batch === undefined ? {} : { next: query.next_batch }),
    })
    const roomIds = wanted.include_state ? [...new Set(found.results.map(({ roomId }) => roomId))] : []
    const states = await Promise.all(
      roomIds.map(async (roomId) => [roomId, await engine.reader.state(requester, roomId)] as const),
    )
    return {
      search_categories: {
        room_events: {
          count: found.count,
          highlights: found.highlights,
          results: await Promise.all(
            found.results.map((result) => resultJson(engine, requester, result, wanted.event_context)),
          ),
          ...(wanted.include_state ? { state: Object.fromEntries(states) } : {}),
          ...(wanted.groupings === undefined ? {} : { groups: groupsJson(found) }),
          ...(found.next === undefined ? {} : { next_batch: found.next }),
        },
      },
    }
  },
})

async function resultJson(
  engine: ApiEngine,
  requester: Requester,
  { rank, event, roomId, eventId }: SearchResult,
  wanted: Criteria['event_context'],
): Promise<JsonObject> {
  if (wanted === undefined) return { rank, result: event }
  const sides = { before: wanted.before_limit, after: wanted.after_limit }
  const context = await engine.reader.context(requester, roomId, eventId, sides, SENDERS_ALONE)
  const events = [...context.before, event, ...context.after]
  return {
    rank,
    result: event,
    context: {
      start: context.start,
      end: context.end,
      events_before: context.before,
      events_after: context.after,
      ...(wanted.include_profile ? { profile_info: profilesOf(events, context.state) } : {}),
    },
  }
}

/** The profiles of the senders, as the room had them when its events were sent. */
function profilesOf(events: readonly JsonObject[], state: readonly JsonObject[]): JsonObject {
  const senders = new Set(events.map(({ sender }) => sender))
  const profiles = state.flatMap(({ type, state_key: user, content }) => {
    if (type !== 'm.room.member' || !senders.has(user)) return []
    const { displayname, avatar_url: avatar } = content as JsonObject
    const profile = {
      ...(typeof displayname === 'string' ? { displayname } : {}),
      ...(typeof avatar === 'string' ? { avatar_url: avatar } : {}),
    }
    return [[user as UserId, profile] as const]
  })
  return Object.fromEntries(profiles)
}

function groupsJson({ groups }: SearchResults): JsonObject {
  const json = [...groups].map(([key, values]) => {
    const inner = [...values].map(([value, { order, ids, next }]) => [
      value,
      { order, results: ids, ...(next === undefined ? {} : { next_batch: next }) },
    ])
    return [key, Object.fromEntries(inner) as JsonObject]
  })
  return Object.fromEntries(json) as JsonObject
}
