/**
 * GET and POST /_matrix/federation/v1/publicRooms.
 * spec: v1.19 server-server-api.md#get_matrixfederationv1publicrooms and its sibling
 */
import { MAX_PUBLIC_PAGE, publicRoomsJson } from '@plexus/engine'
import type { PublicRoomsPage, PublicRoomsQuery } from '@plexus/engine'
import * as v from 'valibot'
import { ApiError, type Answer } from '../answer.ts'
import { MAX_ROOM_TYPES, MAX_PARAMETER_LENGTH, MAX_ROOMS_ANSWER_BYTES } from '../bounds.ts'
import { uriOf, type Call } from '../call.ts'
import { bodyOf, flagOf, optionalQuery, type Endpoint } from '../request.ts'
import { countText, listOf } from '../schema.ts'
import type { Services } from '../services.ts'
import { publishedRoom } from './room-summary.ts'

const PATH = '/_matrix/federation/v1/publicRooms'

const name = v.pipe(v.string(), v.maxLength(MAX_PARAMETER_LENGTH))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const body = v.object({
  limit: v.optional(count, 0),
  since: v.optional(name),
  filter: v.optional(
    v.object({
      generic_search_term: v.nullish(name),
      room_types: v.nullish(listOf(v.nullable(name), MAX_ROOM_TYPES)),
    }),
    {},
  ),
  include_all_networks: v.optional(v.boolean(), false),
  third_party_instance_id: v.nullish(name),
})

export const publicRooms: Endpoint<Services> = {
  method: 'GET',
  path: PATH,
  handle: (services, request) =>
    answer(services, {
      limit: Number(optionalQuery(request, 'limit', countText) ?? 0),
      since: request.query.get('since') ?? undefined,
      everyNetwork: flagOf(request, 'include_all_networks'),
      network: request.query.get('third_party_instance_id') ?? undefined,
    }),
}

export const searchPublicRooms: Endpoint<Services> = {
  method: 'POST',
  path: PATH,
  handle(services, request) {
    const { limit, since, filter, ...networks } = bodyOf(request, body)
    return answer(services, {
      limit,
      since,
      term: filter.generic_search_term ?? undefined,
      types: filter.room_types ?? undefined,
      everyNetwork: networks.include_all_networks,
      network: networks.third_party_instance_id ?? undefined,
    })
  },
}

/** A limit of 0 is none, but ours. */
async function answer({ roomDirectory }: Services, query: PublicRoomsQuery): Promise<Answer> {
  if (query.everyNetwork === true && query.network !== undefined)
    throw new ApiError(400, 'M_INVALID_PARAM', 'one network or all, not both')
  const limit = query.limit === 0 ? MAX_PUBLIC_PAGE : query.limit
  return { json: publicRoomsJson(await roomDirectory.publicRooms({ ...query, limit })) }
}

const page = v.pipe(
  v.object({
    chunk: listOf(publishedRoom, MAX_PUBLIC_PAGE),
    next_batch: v.optional(name),
    prev_batch: v.optional(name),
    total_room_count_estimate: v.optional(count),
  }),
  v.transform(
    ({
      chunk: rooms,
      next_batch: next,
      prev_batch: previous,
      total_room_count_estimate: total,
    }): PublicRoomsPage => ({
      rooms,
      ...(next === undefined ? {} : { next }),
      ...(previous === undefined ? {} : { previous }),
      ...(total === undefined ? {} : { total }),
    }),
  ),
)

export function publicRoomsCall(query: PublicRoomsQuery): Call<PublicRoomsPage> {
  const { limit, since, term, types, network, everyNetwork = false } = query
  const filter = {
    ...(term === undefined ? {} : { generic_search_term: term }),
    ...(types === undefined ? {} : { room_types: types }),
  }
  const content = {
    include_all_networks: everyNetwork,
    ...(limit === undefined ? {} : { limit }),
    ...(since === undefined ? {} : { since }),
    ...(network === undefined ? {} : { third_party_instance_id: network }),
    ...(Object.keys(filter).length === 0 ? {} : { filter }),
  }
  return { method: 'POST', uri: uriOf(PATH), content, answer: page, maxBytes: MAX_ROOMS_ANSWER_BYTES }
}
