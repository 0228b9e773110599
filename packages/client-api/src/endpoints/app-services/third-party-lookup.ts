/**
 * Users and locations of other networks, from their side and from ours.
 * spec: v1.19 client-server-api/modules/third_party_networks.md "Third-party lookups"
 */
import type { JsonObject } from '@plexus/core'
import * as v from 'valibot'
import { endpoint, jsonResponse } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { roomAlias, userId } from '../../schemas.ts'

/** Fields of one look-up. */
const MAX_FIELDS = 32
/** What a query holds besides the fields. */
const OTHERS: ReadonlySet<string> = new Set(['access_token', 'user_id', 'device_id'])

const PATH = '/_matrix/client/v3/thirdparty'

/** Custom fields, which the service knows; of a repeated one the first counts. */
const fields: v.GenericSchema<unknown, Readonly<Record<string, string>>> = v.pipe(
  v.record(v.string(), v.union([v.string(), v.array(v.string())])),
  v.transform((query) =>
    Object.entries(query).flatMap(([name, value]): readonly (readonly [string, string])[] =>
      OTHERS.has(name) ? [] : [[name, typeof value === 'string' ? value : (value[0] ?? '')]],
    ),
  ),
  v.maxLength(MAX_FIELDS, `at most ${MAX_FIELDS} fields`),
  v.transform((entries) => Object.fromEntries(entries)),
)

function answerOf(found: readonly JsonObject[]): Response {
  if (found.length === 0) throw notFound('no bridge to another network knows of it')
  return jsonResponse(200, found)
}

const byProtocol = (what: 'users' | 'locations', path: string): Endpoint =>
  endpoint({
    method: 'GET',
    path: `${PATH}/${path}/{protocol}`,
    auth: 'user',
    rateLimit: 'lookup',
    pathSchema: v.object({ protocol: v.string() }),
    querySchema: fields,
    handler: async ({ engine, path: { protocol }, query }) =>
      answerOf(await engine.appServices.thirdParty[what](protocol, query)),
  })

const usersOf: Endpoint = endpoint({
  method: 'GET',
  path: `${PATH}/user`,
  auth: 'user',
  rateLimit: 'lookup',
  querySchema: v.object({ userid: userId }),
  handler: async ({ engine, query }) => answerOf(await engine.appServices.thirdParty.usersOf(query.userid)),
})

const locationsOf: Endpoint = endpoint({
  method: 'GET',
  path: `${PATH}/location`,
  auth: 'user',
  rateLimit: 'lookup',
  querySchema: v.object({ alias: roomAlias }),
  handler: async ({ engine, query }) =>
    answerOf(await engine.appServices.thirdParty.locationsOf(query.alias)),
})

export const thirdPartyLookups: readonly Endpoint[] = [
  byProtocol('users', 'user'),
  byProtocol('locations', 'location'),
  usersOf,
  locationsOf,
]
