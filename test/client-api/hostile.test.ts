/** Whatever a client sends, the node answers in the way of the specification and goes on. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, clientOf, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork } from '../kit/node.ts'
import { createRoom, say } from '../kit/rooms.ts'
import { createSpecValidator } from '../kit/spec-validation.ts'

const RUNS = 1_000
/** Would end the session or leave the room with which all others are tried; `/sync` has tests of its own. */
const SPARED =
  /\/logout|\/deactivate|\/delete_devices|\/account\/password|\/devices\/\{|\/leave$|\/forget$|\/sync$|\/events$/

let network: TestNetwork
let alice: ApiClient
let roomId: string
let eventId: string

beforeAll(async () => {
  network = await createTestNetwork(['alice'])
  const [member] = network.members
  if (member === undefined) throw new Error('a member')
  alice = await clientOf(member)
  roomId = await createRoom(alice, { name: 'Target' })
  eventId = await say(alice, roomId, 'hello')
})

afterAll(() => network.close())

const operations = createSpecValidator()
  .operations('client-server')
  .filter(({ template }) => template.startsWith('/_matrix/client/') && !SPARED.test(template))

const operation = fc.constantFrom(...operations)
const junk = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 30 })
  .filter((value) => value.isWellFormed())
/** What could stand for a parameter or a field: the right thing for another place, or nothing right at all. */
const value = fc.oneof(
  fc.constantFrom(
    'ROOM',
    'EVENT',
    'USER',
    'm.room.member',
    'm.read',
    'm.room.message',
    'override',
    '',
    '..',
    '*',
  ),
  fc.constantFrom(
    '@x:y',
    '!x',
    '$x',
    '#x:y',
    'mxc://a/b',
    'b',
    'f',
    '1',
    '-1',
    'true',
    '{}',
    '{"a":',
    't1',
    's1_1',
  ),
  junk,
)
const field = fc.oneof(value, fc.jsonValue({ maxDepth: 3 }))
/** What a parameter of that name stands for. */
const RIGHT: Readonly<Record<string, string>> = {
  roomId: 'ROOM',
  roomIdOrAlias: 'ROOM',
  eventId: 'EVENT',
  userId: 'USER',
  eventType: 'm.room.message',
  receiptType: 'm.read',
  kind: 'override',
}
const parameter = fc.option(value, { nil: undefined, freq: 1 })
const NAMES = [
  'user_id',
  'room_id',
  'membership',
  'reason',
  'typing',
  'timeout',
  'limit',
  'filter',
  'type',
  'content',
]
const MORE = [
  'event_id',
  'redacts',
  'm.read',
  'name',
  'preset',
  'invite',
  'auth',
  'displayname',
  'messages',
  'rooms',
]
const LAST = [
  'device_keys',
  'one_time_keys',
  'algorithm',
  'auth_data',
  'actions',
  'enabled',
  'initial_state',
  'visibility',
]
const name = fc.oneof(fc.constantFrom(...NAMES, ...MORE, ...LAST), junk)
const body = fc.oneof(
  fc.dictionary(name, field, { maxKeys: 6 }).map((object) => JSON.stringify(object)),
  fc.json({ maxDepth: 4 }),
  junk,
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(
    '',
    '{',
    '[]',
    'null',
    '"x"',
    '{"a":1e400}',
    '{"a":1.5}',
    '{"__proto__":{"x":1}}',
    '{"a":"\\ud800"}',
  ),
)
const query = fc.dictionary(
  fc.constantFrom(
    'dir',
    'from',
    'to',
    'limit',
    'filter',
    'at',
    'membership',
    'format',
    'ts',
    'via',
    'since',
    'server',
    'only',
    'before',
    'version',
    'timeout_ms',
  ),
  value,
  { maxKeys: 3 },
)

describe('hostile requests', () => {
  const real = (one: string): string => ({ ROOM: roomId, EVENT: eventId, USER: alice.userId })[one] ?? one

  it('are answered by an errcode of the specification, never by a fault of the node', async () => {
    const [member] = network.members
    const { accessToken } =
      member === undefined ? {} : await member.node.engine.users.accounts.openSession(member.user, {})
    const serve = member?.node.clientApi
    if (serve === undefined) throw new Error('a member')
    const reached = new Set<string>()
    await fc.assert(
      fc.asyncProperty(
        operation,
        fc.array(parameter, { minLength: 4, maxLength: 4 }),
        query,
        body,
        async (one, values, query, body) => {
          let index = 0
          const path = one.template.replaceAll(/\{([^}]*)\}/g, (_, name: string) =>
            encodeURIComponent(real(values[index++] ?? RIGHT[name] ?? 'x')),
          )
          const url = URL.parse(path.replace(/ $/, ''), 'http://node')
          if (url === null) return
          for (const [key, item] of Object.entries(query)) url.searchParams.set(key, real(item))
          const sent =
            typeof body === 'string'
              ? body.replaceAll(/"(ROOM|EVENT|USER)"/g, (_, word: string) => JSON.stringify(real(word)))
              : body
          const request = new Request(url, {
            method: one.method,
            headers: { Authorization: `Bearer ${accessToken ?? ''}` },
            ...(one.method === 'GET' ? {} : { body: sent as BodyInit }),
          })
          const response = await serve(request)
          expect(response.headers.get('access-control-allow-origin')).toBe('*')
          reached.add(`${one.template} ${response.status}`)
          if (response.status < 400) return
          const answer = (await response.json()) as Record<string, unknown>
          if (response.status === 401 && answer['flows'] !== undefined) return
          expect(answer['errcode']).toMatch(/^M_[A-Z_]+$/)
          // 502 and 504: another server, made up by the request, does not answer.
          expect(response.status === 502 || response.status === 504 || response.status < 500).toBe(true)
        },
      ),
      { numRuns: RUNS, endOnFailure: true },
    )
    expect(member?.node.complaints.filter((line) => line.includes('client request failed'))).toEqual([])
    // The node goes on, and the requests did not all end at the door.
    expect(text(await alice.ok('GET', at`v3/rooms/${roomId}/event/${eventId}`), 'event_id')).toBe(eventId)
    expect([...reached].filter((line) => line.endsWith(' 200')).length).toBeGreaterThan(30)
  }, 60_000)
})
