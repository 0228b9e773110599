/**
 * Each endpoint is asked in the shape that the specification gives to its requests, rightly and in every wrong way that
 * we know. `FUZZ_RUNS` is the number of requests to each, `FUZZ_SEED` makes others; a request that fails prints itself.
 */
import type { JsonObject } from '@plexus/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { at, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createFuzzWorld, type FuzzWorld } from '../kit/fuzz-world.ts'
import { createHostileRequests, type HostileRequest } from '../kit/hostile-requests.ts'
import { readRequestSchemas, type RequestShape } from '../kit/request-schemas.ts'
import { createSpecValidator } from '../kit/spec-validation.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 30)
const SEED = Number(process.env['FUZZ_SEED'] ?? 1)
/** Of one endpoint, against hanging. */
const LIMIT_MS = 60_000 + RUNS * 500
/** What a node may answer with at most in a world as small as this. */
const MAX_ANSWER_BYTES = 1_000_000

const schemas = readRequestSchemas()
const validator = createSpecValidator()
const filters = schemas.shapeOf({
  anyOf: ['sync_filter', 'room_event_filter'].map((name) => ({
    $ref: `data/api/client-server/definitions/${name}.yaml`,
  })),
})

const slidingList = {
  type: 'object',
  properties: {
    timeline_limit: { type: 'integer' },
    required_state: { type: 'array', items: { type: 'array', items: { type: 'string' } } },
    range: { type: 'array', items: { type: 'integer' } },
    filters: {
      type: 'object',
      properties: { is_dm: { type: 'boolean' }, spaces: { type: 'array' }, tags: { type: 'array' } },
    },
  },
}
const scope = { type: 'object', properties: { enabled: { type: 'boolean' }, lists: { type: 'array' } } }
const DEHYDRATED = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device'
/** Endpoints of proposals, which have no official schemas. */
const PROPOSED: readonly RequestShape[] = [
  {
    method: 'POST',
    template: '/_matrix/client/v4/sync',
    path: [],
    query: [],
    body: schemas.shapeOf({
      type: 'object',
      properties: {
        conn_id: { type: 'string' },
        pos: { type: 'string' },
        timeout: { type: 'integer' },
        set_presence: { enum: ['online', 'offline', 'unavailable'] },
        lists: { type: 'object', additionalProperties: slidingList },
        room_subscriptions: { type: 'object', additionalProperties: slidingList },
        extensions: {
          type: 'object',
          properties: { to_device: scope, e2ee: scope, account_data: scope, receipts: scope, typing: scope },
        },
      },
    }),
  },
  ...['GET', 'DELETE'].map((method) => ({ method, template: DEHYDRATED, path: [], query: [] })),
  {
    method: 'PUT',
    template: DEHYDRATED,
    path: [],
    query: [],
    body: schemas.shapeOf({
      type: 'object',
      properties: {
        device_id: { type: 'string' },
        initial_device_display_name: { type: 'string' },
        device_data: { type: 'object', properties: { algorithm: { type: 'string' } } },
        device_keys: { $ref: 'data/api/client-server/definitions/device_keys.yaml' },
        one_time_keys: { $ref: 'data/api/client-server/definitions/one_time_keys.yaml' },
        fallback_keys: { $ref: 'data/api/client-server/definitions/one_time_keys.yaml' },
      },
      required: ['device_id', 'device_data', 'device_keys'],
    }),
  },
  {
    method: 'POST',
    template: `${DEHYDRATED}/{deviceId}/events`,
    path: [{ name: 'deviceId', required: true, shape: schemas.shapeOf({ type: 'string' }) }],
    query: [],
    body: schemas.shapeOf({ type: 'object', properties: { next_batch: { type: 'string' } } }),
  },
]

/** Endpoints that do not succeed here. */
const MAX_NEVER = 38
/** Presence and typing are no events of a room, as the definition has it, and yet stand among them. */
const OLD_EVENTS = '/_matrix/client/v3/events'

/** The refusals, each of which must have changed nothing. */
const isRefusal = (status: number): boolean => status >= 400 && status < 500

const requests = [...schemas.requests('client-server'), ...PROPOSED]
/** `METHOD template status` of all that was answered. */
const answered = new Set<string>()

/** @throws when the answer is none that the specification knows. */
async function check(world: FuzzWorld, { template }: RequestShape, request: HostileRequest): Promise<void> {
  const { committer } = world.node.engine
  const before = committer.committed
  const start = world.now()
  const response = await world.send(request)
  const { status, headers } = response
  const body = new Uint8Array(await response.arrayBuffer())
  answered.add(`${request.method} ${template} ${status}`)
  expect(headers.get('access-control-allow-origin')).toBe('*')
  expect(body.length).toBeLessThan(MAX_ANSWER_BYTES)
  // Another server, made up by the request, does not answer.
  if (status !== 502 && status !== 504) expect(status).toBeLessThan(500)
  if (headers.get('content-type') !== 'application/json') {
    expect(status).toBeLessThan(400)
    return
  }
  const answer = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as JsonObject
  const { pathname } = new URL(request.target, 'http://node')
  if (template !== OLD_EVENTS)
    expect(validator.problems('client-server', request.method, pathname, status, answer) ?? []).toEqual([])
  const isStage = status === 401 && answer['flows'] !== undefined
  if (status < 400 || isStage) return
  expect(answer['errcode']).toMatch(/^M_[A-Z_]+$/)
  // As time passes the node does what is not the request's; who has lost their position is online all the same.
  if (isRefusal(status) && world.now() === start && answer['errcode'] !== 'M_UNKNOWN_POS')
    expect(committer.committed, 'a refusal changed something').toBe(before)
}

/** What a client that begins anew gets, without what only time changes; rooms and their states have no order. */
async function picture(client: ApiClient): Promise<JsonObject> {
  const filter = '{"room":{"include_leave":true,"ephemeral":{"not_types":["m.typing"]}}}'
  const query = { filter, set_presence: 'offline' }
  const { next_batch: _, presence: __, ...sync } = await client.ok('GET', 'v3/sync', { query })
  const states = ['join', 'leave'].flatMap((section) =>
    Object.entries((pick(sync, 'rooms', section) ?? {}) as Readonly<Record<string, JsonObject>>).map(
      ([roomId, { state, ...room }]) =>
        [
          roomId,
          room,
          list(state, 'events')
            .map((event) => text(event, 'event_id'))
            .sort(),
        ] as const,
    ),
  )
  const devices = list(await client.ok('GET', 'v3/devices'), 'devices').map(({ device_id: id }) => id ?? null)
  const rules = await client.ok('GET', 'v3/pushrules/')
  const profile = (await client.ask('GET', at`v3/profile/${client.userId}`)).body
  states.sort(([a], [b]) => (a < b ? -1 : 1))
  return { ...sync, rooms: states, devices, rules, profile }
}

async function checkWorld(world: FuzzWorld): Promise<void> {
  const { node, mallory, carol, bob } = world
  expect(node.complaints.filter((line) => line.includes('failed'))).toEqual([])
  await world.settle()
  const isLoggedIn = (await mallory.ask('GET', 'v3/account/whoami')).status === 200
  const people = isLoggedIn ? [carol, mallory] : [carol]
  const before = await Promise.all(people.map(picture))
  await world.restart()
  expect(await Promise.all(people.map(picture))).toEqual(before)
  await bob.ok('GET', 'v3/sync')
}

/** By path, whose methods speak of the same things. */
const byPath = Map.groupBy(requests, ({ template }) => template)

describe('whatever is asked of', () => {
  it.each([...byPath])(
    '%s is answered in the way of the specification, and nothing half done is left',
    async (_, shapes) => {
      const world = await createFuzzWorld()
      const hostile = createHostileRequests(world.vocabulary, { filter: filters })
      for (const shape of shapes) {
        const request = hostile(shape, world.token)
        const property = fc.asyncProperty(request, (one) => check(world, shape, one))
        await fc.assert(property, { numRuns: RUNS, seed: SEED, endOnFailure: true })
      }
      await checkWorld(world)
      await world.close()
    },
    LIMIT_MS,
  )

  it('gets further than the door', () => {
    const never = requests
      .map(({ method, template }) => `${method} ${template}`)
      .filter((name) => !answered.has(`${name} 200`))
    // Of the rest there is nothing in such a node: single sign-on, bridges, third-party identifiers, pictures.
    expect(never.length, never.join(' ')).toBeLessThan(MAX_NEVER)
  })
})
