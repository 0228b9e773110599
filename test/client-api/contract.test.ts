/** Every operation of the rooms endpoints, in success and in failure; each answer is checked against its definition. */
import type { JsonObject, JsonValue } from '@plexus/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  at,
  clientOf,
  createApiClient,
  list,
  pick,
  text,
  type ApiClient,
  type Coverage,
} from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork } from '../kit/node.ts'
import { createRoom, joinFrom, say, sharedRoom, transaction } from '../kit/rooms.ts'
import { createSpecValidator } from '../kit/spec-validation.ts'

const coverage: Coverage = new Map()
let network: TestNetwork
let alice: ApiClient
let bob: ApiClient
/** Is in no room. */
let carol: ApiClient
let nobody: ApiClient
/** Alice's, with Bob in it. */
let roomId: string
let messageId: string

beforeAll(async () => {
  network = await createTestNetwork(['alice', 'bob', 'carol'])
  const [first, second, third] = network.members
  if (first === undefined || second === undefined || third === undefined) throw new Error('three members')
  alice = await clientOf(first, coverage)
  bob = await clientOf(second, coverage)
  carol = await clientOf(third, coverage)
  nobody = createApiClient(first.node.clientApi, { userId: alice.userId, accessToken: undefined }, coverage)
  roomId = await sharedRoom(network, alice, bob, { name: 'Kitchen' })
  messageId = await say(alice, roomId, 'hello')
  await network.settle()
})

afterAll(() => network.close())

const UNKNOWN_ROOM = `!${'A'.repeat(43)}`
const UNKNOWN_EVENT = `$${'A'.repeat(43)}`

/** A room of Alice alone; no two are made in the same millisecond. */
async function ownRoom(body: JsonObject = {}): Promise<string> {
  await network.clock.advance(1)
  return createRoom(alice, body)
}

describe('access', () => {
  it.each([
    ['GET', 'v3/sync'],
    ['POST', 'v3/createRoom'],
    ['GET', 'v3/joined_rooms'],
    ['PUT', at`v3/rooms/${UNKNOWN_ROOM}/send/m.room.message/1`],
    ['GET', at`v3/rooms/${UNKNOWN_ROOM}/state`],
  ])('%s %s needs a token', async (method, path) => {
    expect(await nobody.fails(method, path)).toEqual([401, 'M_MISSING_TOKEN'])
  })

  it('is told what versions there are without one', async () => {
    const { versions } = await nobody.ok('GET', 'versions')
    expect(versions).toContain('v1.1')
    expect(versions).toContain('v1.19')
  })
})

describe('POST createRoom', () => {
  const stateOf = async (id: string, type: string): Promise<JsonObject> =>
    alice.ok('GET', at`v3/rooms/${id}/state/${type}`)

  it.each([
    ['private_chat', 'invite', 'can_join'],
    ['trusted_private_chat', 'invite', 'can_join'],
    ['public_chat', 'public', 'forbidden'],
  ])('makes what the preset %s says', async (preset, joinRule, guestAccess) => {
    const id = await ownRoom({ preset })
    expect(await stateOf(id, 'm.room.join_rules')).toEqual({ join_rule: joinRule })
    expect(await stateOf(id, 'm.room.history_visibility')).toEqual({ history_visibility: 'shared' })
    expect(await stateOf(id, 'm.room.guest_access')).toEqual({ guest_access: guestAccess })
    const levels = await stateOf(id, 'm.room.power_levels')
    expect(levels['users']).toEqual({})
    expect(pick(levels, 'events', 'm.room.tombstone')).toBeGreaterThan(Number(levels['state_default']))
  })

  it('sends its events in the order of the specification', async () => {
    const id = await ownRoom({
      name: 'Name',
      topic: 'Topic',
      room_alias_name: 'ordered',
      initial_state: [
        { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
        { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
      ],
      invite: [bob.userId],
      is_direct: true,
    })
    const page = await alice.ok('GET', at`v3/rooms/${id}/messages`, { query: { dir: 'f', limit: '50' } })
    expect(list(page, 'chunk').map(({ type }) => type)).toEqual([
      'm.room.create',
      'm.room.member',
      'm.room.power_levels',
      'm.room.canonical_alias',
      'm.room.join_rules',
      'm.room.guest_access',
      'm.room.encryption',
      'm.room.history_visibility',
      'm.room.name',
      'm.room.topic',
      'm.room.member',
    ])
    expect(list(page, 'chunk').at(-1)).toMatchObject({ content: { membership: 'invite', is_direct: true } })
    expect(await stateOf(id, 'm.room.history_visibility')).toEqual({ history_visibility: 'joined' })
    expect(await stateOf(id, 'm.room.topic')).toMatchObject({ topic: 'Topic' })
  })

  it('makes the invited people of a trusted private chat creators', async () => {
    const id = await ownRoom({ preset: 'trusted_private_chat', invite: [bob.userId] })
    expect(await stateOf(id, 'm.room.create')).toMatchObject({ additional_creators: [bob.userId] })
  })

  it('merges the power levels that are asked for, and the creation content', async () => {
    const id = await ownRoom({
      power_level_content_override: { events_default: 10, users: { [bob.userId]: 60 } },
      creation_content: { type: 'm.space', room_version: '1' },
    })
    expect(await stateOf(id, 'm.room.power_levels')).toMatchObject({
      events_default: 10,
      users: { [bob.userId]: 60 },
      ban: 50,
    })
    expect(await stateOf(id, 'm.room.create')).toMatchObject({ type: 'm.space', room_version: '12' })
  })

  it.each<[JsonObject, number, string]>([
    [{ room_version: '1' }, 400, 'M_UNSUPPORTED_ROOM_VERSION'],
    [{ preset: 'nonsense' }, 400, 'M_BAD_JSON'],
    [{ name: 1 }, 400, 'M_BAD_JSON'],
    [{ invite: ['bob'] }, 400, 'M_INVALID_PARAM'],
    [{ room_alias_name: 'a:b' }, 400, 'M_INVALID_PARAM'],
    [{ initial_state: [{ type: 'm.x' }] }, 400, 'M_MISSING_PARAM'],
    [{ initial_state: [{ type: 'm.room.create', content: {} }] }, 400, 'M_INVALID_ROOM_STATE'],
    [{ invite_3pid: [{ medium: 'email', address: 'a@b.c' }] }, 400, 'M_THREEPID_NOT_FOUND'],
  ])('refuses %j', async (body, status, errcode) => {
    expect(await alice.fails('POST', 'v3/createRoom', { body })).toEqual([status, errcode])
  })

  it('refuses power levels that list a creator', async () => {
    const body = { power_level_content_override: { users: { [alice.userId]: 100 } } }
    expect(await alice.fails('POST', 'v3/createRoom', { body })).toEqual([400, 'M_INVALID_ROOM_STATE'])
  })

  it('refuses an alias that is taken', async () => {
    await ownRoom({ room_alias_name: 'taken' })
    expect(await alice.fails('POST', 'v3/createRoom', { body: { room_alias_name: 'taken' } })).toEqual([
      400,
      'M_ROOM_IN_USE',
    ])
  })
})

describe('membership', () => {
  const membership = (user: ApiClient, id: string): Promise<JsonObject> =>
    alice.ok('GET', at`v3/rooms/${id}/state/m.room.member/${user.userId}`)

  it('POST invite, join and leave', async () => {
    const id = await ownRoom()
    await alice.ok('POST', at`v3/rooms/${id}/invite`, { body: { user_id: carol.userId, reason: 'come' } })
    expect(await membership(carol, id)).toMatchObject({ membership: 'invite', reason: 'come' })
    await network.settle()
    expect(await carol.ok('POST', at`v3/rooms/${id}/join`, { body: {} })).toEqual({ room_id: id })
    await network.settle()
    expect(await membership(carol, id)).toMatchObject({ membership: 'join' })
    expect(await carol.ok('POST', at`v3/join/${id}`, { body: {} })).toEqual({ room_id: id })
    expect(await carol.ok('GET', 'v3/joined_rooms')).toEqual({ joined_rooms: [id] })
    await carol.ok('POST', at`v3/rooms/${id}/leave`, { body: { reason: 'late' } })
    await network.settle()
    expect(await membership(carol, id)).toMatchObject({ membership: 'leave', reason: 'late' })
    expect(await carol.ok('POST', at`v3/rooms/${id}/leave`, { body: {} })).toEqual({})
    expect(await carol.fails('POST', at`v3/rooms/${roomId}/leave`, { body: {} })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
  })

  it('POST invite refuses strangers, members and third-party ids', async () => {
    const body = { user_id: carol.userId }
    expect(await carol.fails('POST', at`v3/rooms/${roomId}/invite`, { body })).toEqual([404, 'M_NOT_FOUND'])
    expect(
      await alice.fails('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: bob.userId } }),
    ).toEqual([403, 'M_FORBIDDEN'])
    expect(await alice.fails('POST', at`v3/rooms/${roomId}/invite`, { body: {} })).toEqual([
      400,
      'M_MISSING_PARAM',
    ])
    const email = { id_server: 'x', id_access_token: 'x', medium: 'email', address: 'a@b.c' }
    expect(await alice.fails('POST', at`v3/rooms/${roomId}/invite`, { body: email })).toEqual([
      400,
      'M_THREEPID_NOT_FOUND',
    ])
  })

  it('POST join refuses a closed room, an unknown one and no id at all', async () => {
    const id = await ownRoom()
    const via = alice.userId.slice(alice.userId.indexOf(':') + 1)
    expect(await carol.fails('POST', at`v3/join/${id}`, { query: { via }, body: {} })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
    expect(await carol.fails('POST', at`v3/rooms/${UNKNOWN_ROOM}/join`, { body: {} })).toEqual([
      404,
      'M_NOT_FOUND',
    ])
    expect(await carol.fails('POST', 'v3/join/nonsense', { body: {} })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await carol.fails('POST', at`v3/join/${id}`, { query: { via: 'a b' }, body: {} })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
  })

  it('POST kick, ban and unban', async () => {
    const id = await sharedRoom(network, alice, bob, { name: 'Strict', preset: 'public_chat' })
    const body = { user_id: bob.userId, reason: 'out' }
    expect(await bob.fails('POST', at`v3/rooms/${id}/kick`, { body: { user_id: alice.userId } })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
    await alice.ok('POST', at`v3/rooms/${id}/kick`, { body })
    expect(await membership(bob, id)).toEqual({ membership: 'leave', reason: 'out' })
    expect(await alice.fails('POST', at`v3/rooms/${id}/kick`, { body })).toEqual([403, 'M_FORBIDDEN'])
    expect(await alice.fails('POST', at`v3/rooms/${id}/unban`, { body })).toEqual([403, 'M_FORBIDDEN'])
    await alice.ok('POST', at`v3/rooms/${id}/ban`, { body })
    expect(await membership(bob, id)).toMatchObject({ membership: 'ban' })
    await network.settle()
    const via = alice.userId.slice(alice.userId.indexOf(':') + 1)
    expect((await bob.fails('POST', at`v3/join/${id}`, { query: { via }, body: {} }))[0]).toBe(403)
    await alice.ok('POST', at`v3/rooms/${id}/unban`, { body: { user_id: bob.userId } })
    expect(await membership(bob, id)).toEqual({ membership: 'leave' })
    expect(await alice.fails('POST', at`v3/rooms/${id}/ban`, { body: {} })).toEqual([400, 'M_MISSING_PARAM'])
  })

  it('POST knock says what it cannot do', async () => {
    expect(await carol.fails('POST', at`v3/knock/${UNKNOWN_ROOM}`, { body: {} })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
    expect(await alice.fails('POST', at`v3/knock/${roomId}`, { body: {} })).toEqual([403, 'M_FORBIDDEN'])
  })

  it('POST forget works once the room is left, and ends all reading', async () => {
    const id = await sharedRoom(network, alice, bob, { name: 'Forgettable' })
    expect(await bob.fails('POST', at`v3/rooms/${id}/forget`)).toEqual([400, 'M_UNKNOWN'])
    await bob.ok('POST', at`v3/rooms/${id}/leave`, { body: {} })
    await network.settle()
    expect(
      list(await bob.ok('GET', at`v3/rooms/${id}/messages`, { query: { dir: 'b' } }), 'chunk'),
    ).not.toEqual([])
    await bob.ok('POST', at`v3/rooms/${id}/forget`)
    expect(await bob.fails('GET', at`v3/rooms/${id}/messages`, { query: { dir: 'b' } })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
  })

  it('as state does the same as the endpoints', async () => {
    const id = await ownRoom()
    const path = at`v3/rooms/${id}/state/m.room.member/${carol.userId}`
    const invited = await alice.ok('PUT', path, { body: { membership: 'invite' } })
    expect(text(invited, 'event_id')).toMatch(/^\$/)
    await network.settle()
    const own = at`v3/rooms/${id}/state/m.room.member/${carol.userId}`
    await carol.ok('PUT', own, { body: { membership: 'join', displayname: 'C' } })
    await network.settle()
    expect(await membership(carol, id)).toEqual({ membership: 'join', displayname: 'C' })
    await carol.ok('PUT', own, { body: { membership: 'leave' } })
    await network.settle()
    expect(await membership(carol, id)).toEqual({ membership: 'leave' })
    expect(await alice.fails('PUT', path, { body: {} })).toEqual([400, 'M_BAD_JSON'])
    expect(
      await alice.fails('PUT', at`v3/rooms/${id}/state/m.room.member/x`, { body: { membership: 'ban' } }),
    ).toEqual([400, 'M_INVALID_PARAM'])
  })
})

describe('sending', () => {
  it('PUT send makes one event of one transaction', async () => {
    const one = await say(alice, roomId, 'twice', 'same')
    expect(await say(alice, roomId, 'twice', 'same')).toBe(one)
    expect(await say(alice, roomId, 'twice', transaction())).not.toBe(one)
  })

  it('PUT send refuses strangers, floats and what is too large', async () => {
    const send = (client: ApiClient, body: JsonObject): Promise<readonly [number, string]> =>
      client.fails('PUT', at`v3/rooms/${roomId}/send/m.room.message/${transaction()}`, { body })
    expect(await send(carol, {})).toEqual([404, 'M_NOT_FOUND'])
    expect(await send(alice, { a: 1.5 })).toEqual([400, 'M_BAD_JSON'])
    expect(await send(alice, { a: 'x'.repeat(70_000) })).toEqual([413, 'M_TOO_LARGE'])
    expect(await alice.fails('PUT', at`v3/rooms/${roomId}/send/${'t'.repeat(300)}/1`, { body: {} })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
  })

  it('PUT redact empties an event, and only who may', async () => {
    const eventId = await say(alice, roomId, 'oops')
    await network.settle()
    const path = at`v3/rooms/${roomId}/redact/${eventId}/${transaction()}`
    const { event_id: redaction } = await alice.ok('PUT', path, { body: { reason: 'typo' } })
    const event = await alice.ok('GET', at`v3/rooms/${roomId}/event/${eventId}`)
    expect(event['content']).toEqual({})
    expect(pick(event, 'unsigned', 'redacted_because', 'event_id')).toBe(redaction)
    expect(await carol.fails('PUT', path, { body: {} })).toEqual([404, 'M_NOT_FOUND'])
    const asMessage = at`v3/rooms/${roomId}/send/m.room.redaction/${transaction()}`
    expect(await alice.fails('PUT', asMessage, { body: {} })).toEqual([400, 'M_BAD_JSON'])
    await alice.ok('PUT', asMessage, { body: { redacts: eventId } })
  })

  it('PUT state changes the state, with and without a key', async () => {
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/org.test`, { body: { a: 1 } })
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/org.test/key`, { body: { a: 2 } })
    expect(await alice.ok('GET', at`v3/rooms/${roomId}/state/org.test/`)).toEqual({ a: 1 })
    expect(await alice.ok('GET', at`v3/rooms/${roomId}/state/org.test/key`)).toEqual({ a: 2 })
    expect(
      await bob.fails('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name: 'Mine' } }),
    ).toEqual([403, 'M_FORBIDDEN'])
  })

  it('PUT state looks at the aliases of a canonical alias', async () => {
    const path = at`v3/rooms/${roomId}/state/m.room.canonical_alias`
    const server = alice.userId.slice(alice.userId.indexOf(':') + 1)
    expect(await alice.fails('PUT', path, { body: { alias: 'nonsense' } })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await alice.fails('PUT', path, { body: { alias: `#nowhere:${server}` } })).toEqual([
      400,
      'M_BAD_ALIAS',
    ])
  })
})

describe('reading', () => {
  it('GET state, state/{type}, members, joined_members', async () => {
    expect(await alice.ok('GET', at`v3/rooms/${roomId}/state/m.room.name`)).toEqual({ name: 'Kitchen' })
    const event = await alice.ok('GET', at`v3/rooms/${roomId}/state/m.room.name`, {
      query: { format: 'event' },
    })
    expect(event).toMatchObject({ type: 'm.room.name', room_id: roomId, sender: alice.userId })
    const { body } = await alice.ask('GET', at`v3/rooms/${roomId}/state`)
    expect(list(body).map(({ type }) => type)).toContain('m.room.create')
    const members = await alice.ok('GET', at`v3/rooms/${roomId}/members`)
    expect(list(members, 'chunk')).toHaveLength(2)
    expect(await alice.ok('GET', at`v3/rooms/${roomId}/members`, { query: { membership: 'ban' } })).toEqual({
      chunk: [],
    })
    const joined = await alice.ok('GET', at`v3/rooms/${roomId}/members`, {
      query: { not_membership: 'leave' },
    })
    expect(list(joined, 'chunk')).toHaveLength(2)
    const profiles = await alice.ok('GET', at`v3/rooms/${roomId}/joined_members`)
    expect(Object.keys(profiles['joined'] as JsonObject).toSorted()).toEqual(
      [alice.userId, bob.userId].toSorted(),
    )
  })

  it.each(['state', 'state/m.room.name', 'members', 'joined_members', 'messages?dir=b', 'aliases'])(
    'GET %s is refused to strangers',
    async (path) => {
      expect(await carol.fails('GET', `${at`v3/rooms/${roomId}`}/${path}`)).toEqual([403, 'M_FORBIDDEN'])
    },
  )

  it('GET state/{type} of what is not there', async () => {
    expect(await alice.fails('GET', at`v3/rooms/${roomId}/state/org.none`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await carol.fails('GET', at`v3/rooms/${roomId}/state/org.none/key`)).toEqual([403, 'M_FORBIDDEN'])
  })

  it('GET members of an earlier time', async () => {
    const id = await ownRoom()
    const before = await alice.ok('GET', 'v3/sync')
    await alice.ok('POST', at`v3/rooms/${id}/invite`, { body: { user_id: carol.userId } })
    const query = { at: text(before, 'next_batch') }
    expect(list(await alice.ok('GET', at`v3/rooms/${id}/members`, { query }), 'chunk')).toHaveLength(1)
    expect(list(await alice.ok('GET', at`v3/rooms/${id}/members`), 'chunk')).toHaveLength(2)
    expect(await alice.fails('GET', at`v3/rooms/${id}/members`, { query: { at: 'x' } })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
  })

  it('GET messages pages through the whole room both ways', async () => {
    const id = await ownRoom()
    for (let index = 0; index < 7; index += 1) await say(alice, id, `m${index}`)
    const collect = async (dir: string): Promise<unknown[]> => {
      const found: unknown[] = []
      let from: string | undefined
      for (;;) {
        const page = await alice.ok('GET', at`v3/rooms/${id}/messages`, {
          query: { dir, limit: '4', ...(from === undefined ? {} : { from }) },
        })
        found.push(...list(page, 'chunk').map(({ event_id: eventId }) => eventId))
        if (page['end'] === undefined) return found
        from = text(page, 'end')
      }
    }
    const forwards = await collect('f')
    expect(forwards).toHaveLength(13)
    expect(await collect('b')).toEqual(forwards.toReversed())
  })

  it('GET messages filters, and brings the members of its senders', async () => {
    const filter = JSON.stringify({ types: ['m.room.mess*'], lazy_load_members: true, limit: 2 })
    const page = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, { query: { dir: 'b', filter } })
    expect(list(page, 'chunk').map(({ type }) => type)).toEqual(['m.room.message', 'm.room.message'])
    expect(list(page, 'state').map((event) => event['state_key'])).toEqual([alice.userId])
    const query = { dir: 'b', filter: '{"types":1}' }
    expect(await alice.fails('GET', at`v3/rooms/${roomId}/messages`, { query })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
    expect(await alice.fails('GET', at`v3/rooms/${roomId}/messages`)).toEqual([400, 'M_MISSING_PARAM'])
    expect(
      await alice.fails('GET', at`v3/rooms/${roomId}/messages`, { query: { dir: 'b', from: 'x' } }),
    ).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('GET event and context', async () => {
    const event = await bob.ok('GET', at`v3/rooms/${roomId}/event/${messageId}`)
    expect(event).toMatchObject({ event_id: messageId, room_id: roomId, content: { body: 'hello' } })
    const context = await alice.ok('GET', at`v3/rooms/${roomId}/context/${messageId}`, {
      query: { limit: '4' },
    })
    expect(pick(context, 'event', 'event_id')).toBe(messageId)
    expect(list(context, 'events_before').length).toBe(2)
    expect(list(context, 'state').map(({ type }) => type)).toContain('m.room.create')
    for (const kind of ['event', 'context']) {
      expect(await bob.fails('GET', at`v3/rooms/${roomId}/${kind}/${UNKNOWN_EVENT}`)).toEqual([
        404,
        'M_NOT_FOUND',
      ])
    }
    // The event is of another room.
    const id = await ownRoom()
    expect(await alice.fails('GET', at`v3/rooms/${id}/event/${messageId}`)).toEqual([404, 'M_NOT_FOUND'])
  })

  it('GET relations, by type of relation and event', async () => {
    const parent = await say(alice, roomId, 'parent')
    const react = (key: string): Promise<JsonObject> =>
      alice.ok('PUT', at`v3/rooms/${roomId}/send/m.reaction/${transaction()}`, {
        body: { 'm.relates_to': { rel_type: 'm.annotation', event_id: parent, key } },
      })
    const [one, two] = [await react('+'), await react('-')]
    const path = at`v1/rooms/${roomId}/relations/${parent}`
    const all = await alice.ok('GET', path)
    expect(list(all, 'chunk').map((event) => event['event_id'])).toEqual([two['event_id'], one['event_id']])
    const first = await alice.ok('GET', `${path}/m.annotation/m.reaction`, {
      query: { limit: '1', dir: 'f' },
    })
    expect(list(first, 'chunk').map((event) => event['event_id'])).toEqual([one['event_id']])
    const query = { limit: '1', dir: 'f', from: text(first, 'next_batch') }
    const second = await alice.ok('GET', `${path}/m.annotation`, { query })
    expect(list(second, 'chunk').map((event) => event['event_id'])).toEqual([two['event_id']])
    expect(await alice.ok('GET', `${path}/m.thread`)).toEqual({ chunk: [] })
    for (const rest of ['', '/m.annotation', '/m.annotation/m.reaction']) {
      const unknown = at`v1/rooms/${roomId}/relations/${UNKNOWN_EVENT}`
      expect(await alice.fails('GET', unknown + rest)).toEqual([404, 'M_NOT_FOUND'])
    }
  })

  it('GET timestamp_to_event', async () => {
    const id = await ownRoom()
    await network.clock.advance(1_000)
    const eventId = await say(alice, id, 'later')
    const now = network.clock.now()
    const find = (ts: number, dir: string): Promise<JsonObject> =>
      alice.ok('GET', at`v1/rooms/${id}/timestamp_to_event`, { query: { ts: String(ts), dir } })
    expect(await find(now - 500, 'f')).toEqual({ event_id: eventId, origin_server_ts: now })
    expect((await find(now - 500, 'b'))['event_id']).not.toBe(eventId)
    expect(
      await alice.fails('GET', at`v1/rooms/${id}/timestamp_to_event`, {
        query: { ts: String(now + 1), dir: 'f' },
      }),
    ).toEqual([404, 'M_NOT_FOUND'])
  })
})

describe('aggregations and threads', () => {
  const relate = async (
    client: ApiClient,
    id: string,
    relation: JsonObject,
    content: JsonObject = {},
  ): Promise<string> => {
    const path = at`v3/rooms/${id}/send/m.room.message/${transaction()}`
    const body = { msgtype: 'm.text', body: 'related', ...content, 'm.relates_to': relation }
    return text(await client.ok('PUT', path, { body }), 'event_id')
  }
  const relationsOf = async (id: string, eventId: string): Promise<JsonValue | undefined> =>
    pick(await alice.ok('GET', at`v3/rooms/${id}/event/${eventId}`), 'unsigned', 'm.relations')

  it('bundle the newest valid edit', async () => {
    const original = await say(alice, roomId, 'tpyo')
    await network.settle()
    const edit = { rel_type: 'm.replace', event_id: original }
    await relate(alice, roomId, edit, { 'm.new_content': { body: 'first' } })
    await network.clock.advance(1)
    const last = await relate(alice, roomId, edit, { 'm.new_content': { body: 'typo' } })
    await relate(alice, roomId, edit)
    await relate(bob, roomId, edit, { 'm.new_content': { body: 'of somebody else' } })
    await network.settle()
    expect(pick(await relationsOf(roomId, original), 'm.replace', 'event_id')).toBe(last)
    await alice.ok('PUT', at`v3/rooms/${roomId}/redact/${last}/${transaction()}`, { body: {} })
    expect(pick(await relationsOf(roomId, original), 'm.replace', 'content', 'm.new_content', 'body')).toBe(
      'first',
    )
    expect(await relationsOf(roomId, last)).toBeUndefined()
  })

  it('bundle references and threads, in pages and contexts too', async () => {
    const root = await say(alice, roomId, 'root')
    await network.settle()
    const reference = await relate(alice, roomId, { rel_type: 'm.reference', event_id: root })
    await relate(bob, roomId, { rel_type: 'm.thread', event_id: root })
    await network.settle()
    const latest = await relate(alice, roomId, { rel_type: 'm.thread', event_id: root })
    await network.settle()
    const bundle = await relationsOf(roomId, root)
    expect(bundle).toMatchObject({
      'm.reference': { chunk: [{ event_id: reference }] },
      'm.thread': {
        count: 2,
        current_user_participated: true,
        latest_event: { event_id: latest, room_id: roomId },
      },
    })
    const page = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, { query: { dir: 'b', limit: '50' } })
    const paged = list(page, 'chunk').find((event) => event['event_id'] === root)
    expect(pick(paged, 'unsigned', 'm.relations', 'm.thread', 'count')).toBe(2)
    const context = await bob.ok('GET', at`v3/rooms/${roomId}/context/${latest}`, { query: { limit: '20' } })
    const before = list(context, 'events_before').find((event) => event['event_id'] === root)
    expect(pick(before, 'unsigned', 'm.relations', 'm.thread', 'count')).toBe(2)
  })

  it('GET threads, those with the latest answer first, page by page', async () => {
    const id = await sharedRoom(network, alice, bob, { name: 'Threads' })
    const [one, two, three] = [
      await say(alice, id, '1'),
      await say(alice, id, '2'),
      await say(alice, id, '3'),
    ]
    await network.settle()
    for (const root of [one, two, one]) await relate(alice, id, { rel_type: 'm.thread', event_id: root })
    await network.settle()
    await relate(bob, id, { rel_type: 'm.thread', event_id: three })
    await network.settle()
    const idsOf = (answer: JsonObject): unknown[] => list(answer, 'chunk').map((event) => event['event_id'])
    const path = at`v1/rooms/${id}/threads`
    const all = await bob.ok('GET', path)
    expect(idsOf(all)).toEqual([three, one, two])
    expect(pick(list(all, 'chunk')[1], 'unsigned', 'm.relations', 'm.thread', 'count')).toBe(2)
    const first = await bob.ok('GET', path, { query: { limit: '2' } })
    expect(idsOf(first)).toEqual([three, one])
    const second = await bob.ok('GET', path, { query: { limit: '2', from: text(first, 'next_batch') } })
    expect(idsOf(second)).toEqual([two])
    expect(idsOf(await bob.ok('GET', path, { query: { include: 'participated' } }))).toEqual([three])
    expect(await bob.fails('GET', path, { query: { from: 'x' } })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await carol.fails('GET', path)).toEqual([403, 'M_FORBIDDEN'])
  })
})

describe('receipts, markers, typing', () => {
  it('POST receipt and read_markers', async () => {
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${messageId}`, { body: {} })
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.fully_read/${messageId}`, { body: {} })
    await bob.ok('POST', at`v3/rooms/${roomId}/read_markers`, { body: { 'm.fully_read': messageId } })
    const fails = (client: ApiClient, type: string, body: JsonObject): Promise<readonly [number, string]> =>
      client.fails('POST', at`v3/rooms/${roomId}/receipt/${type}/${messageId}`, { body })
    expect(await fails(carol, 'm.read', {})).toEqual([403, 'M_FORBIDDEN'])
    expect(await fails(bob, 'm.other', {})).toEqual([400, 'M_INVALID_PARAM'])
    expect(await fails(bob, 'm.read', { thread_id: 1 })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await fails(bob, 'm.read', { thread_id: '' })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await fails(bob, 'm.fully_read', { thread_id: 'main' })).toEqual([400, 'M_INVALID_PARAM'])
    expect(
      await bob.fails('POST', at`v3/rooms/${roomId}/receipt/m.read/${UNKNOWN_EVENT}`, { body: {} }),
    ).toEqual([404, 'M_NOT_FOUND'])
    expect(
      await carol.fails('POST', at`v3/rooms/${roomId}/read_markers`, { body: { 'm.read': messageId } }),
    ).toEqual([403, 'M_FORBIDDEN'])
  })

  it('PUT typing', async () => {
    const path = at`v3/rooms/${roomId}/typing/${bob.userId}`
    await bob.ok('PUT', path, { body: { typing: true, timeout: 5_000 } })
    await bob.ok('PUT', path, { body: { typing: false } })
    expect(await alice.fails('PUT', path, { body: { typing: true } })).toEqual([403, 'M_FORBIDDEN'])
    expect(await bob.fails('PUT', path, { body: {} })).toEqual([400, 'M_MISSING_PARAM'])
    expect(
      await carol.fails('PUT', at`v3/rooms/${roomId}/typing/${carol.userId}`, { body: { typing: true } }),
    ).toEqual([403, 'M_FORBIDDEN'])
  })
})

describe('directory', () => {
  const aliasOf = (name: string): string => `#${name}:${alice.userId.slice(alice.userId.indexOf(':') + 1)}`

  it('PUT, GET, DELETE room aliases, and join by one', async () => {
    const id = await ownRoom({ preset: 'public_chat' })
    const alias = aliasOf('pub')
    const path = at`v3/directory/room/${alias}`
    await alice.ok('PUT', path, { body: { room_id: id } })
    expect(await alice.fails('PUT', path, { body: { room_id: id } })).toEqual([409, 'M_UNKNOWN'])
    expect(await nobody.ok('GET', path)).toMatchObject({ room_id: id })
    expect(await alice.ok('GET', at`v3/rooms/${id}/aliases`)).toEqual({ aliases: [alias] })
    await alice.ok('PUT', at`v3/rooms/${id}/state/m.room.canonical_alias`, { body: { alias } })
    await alice.ok('DELETE', path)
    expect(await nobody.fails('GET', path)).toEqual([404, 'M_NOT_FOUND'])
    expect(await alice.fails('DELETE', path)).toEqual([404, 'M_NOT_FOUND'])
    expect(await alice.fails('PUT', at`v3/directory/room/nonsense`, { body: { room_id: id } })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
    expect(
      await alice.fails('PUT', at`v3/directory/room/${'#a:else.where'}`, { body: { room_id: id } }),
    ).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('PUT and GET the visibility, and list what is public', async () => {
    const id = await ownRoom({ visibility: 'public', name: 'Open house', topic: 'All welcome' })
    const path = at`v3/directory/list/room/${id}`
    expect(await nobody.ok('GET', path)).toEqual({ visibility: 'public' })
    const listed = await nobody.ok('GET', 'v3/publicRooms', { query: { limit: '10' } })
    expect(list(listed, 'chunk')).toContainEqual(
      expect.objectContaining({
        room_id: id,
        name: 'Open house',
        num_joined_members: 1,
        join_rule: 'public',
      }),
    )
    const found = await alice.ok('POST', 'v3/publicRooms', {
      body: { filter: { generic_search_term: 'WELCOME' } },
    })
    expect(list(found, 'chunk').map((room) => room['room_id'])).toEqual([id])
    expect(
      await alice.ok('POST', 'v3/publicRooms', { body: { filter: { room_types: ['m.space'] } } }),
    ).toMatchObject({
      chunk: [],
    })
    await alice.ok('PUT', path, { body: { visibility: 'private' } })
    expect(await nobody.ok('GET', path)).toEqual({ visibility: 'private' })
    expect(await nobody.fails('GET', at`v3/directory/list/room/${UNKNOWN_ROOM}`)).toEqual([
      404,
      'M_NOT_FOUND',
    ])
    expect(await alice.fails('PUT', at`v3/directory/list/room/${UNKNOWN_ROOM}`, { body: {} })).toEqual([
      404,
      'M_NOT_FOUND',
    ])
    expect(await nobody.fails('GET', 'v3/publicRooms', { query: { server: 'else.where' } })).toEqual([
      400,
      'M_UNKNOWN',
    ])
    expect(await nobody.fails('GET', 'v3/publicRooms', { query: { since: 'x' } })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
    expect(await alice.fails('POST', 'v3/publicRooms', { body: { limit: 'x' } })).toEqual([400, 'M_BAD_JSON'])
  })

  it('join through an alias of another node', async () => {
    const id = await ownRoom({ preset: 'public_chat', room_alias_name: 'door' })
    expect(await carol.ok('POST', at`v3/join/${aliasOf('door')}`, { body: {} })).toEqual({ room_id: id })
    await joinFrom(network, carol, alice, id)
  })
})

describe('summaries', () => {
  it('GET room_summary of what one may know of', async () => {
    const open = await ownRoom({
      preset: 'public_chat',
      name: 'Open',
      initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
    })
    expect(await alice.ok('GET', at`v1/room_summary/${open}`)).toMatchObject({
      room_id: open,
      name: 'Open',
      membership: 'join',
      encryption: 'm.megolm.v1.aes-sha2',
      room_version: '12',
    })
    expect((await nobody.ok('GET', at`v1/room_summary/${open}`))['membership']).toBeUndefined()
    expect(await nobody.fails('GET', at`v1/room_summary/${roomId}`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await carol.fails('GET', at`v1/room_summary/${UNKNOWN_ROOM}`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await carol.fails('GET', 'v1/room_summary/nonsense')).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('GET hierarchy of a space, depth first and in order', async () => {
    const space = await ownRoom({ name: 'Space', creation_content: { type: 'm.space' } })
    const inner = await ownRoom({ name: 'Inner', creation_content: { type: 'm.space' } })
    const [a, b] = [await ownRoom({ name: 'A' }), await ownRoom({ name: 'B' })]
    const put = async (parent: string, child: string, content: JsonObject): Promise<void> => {
      await network.clock.advance(1)
      await alice.ok('PUT', at`v3/rooms/${parent}/state/m.space.child/${child}`, {
        body: { via: ['x.y'], ...content },
      })
    }
    await put(space, a, {})
    await put(space, inner, { order: 'a', suggested: true })
    await put(inner, b, {})
    // A loop, a room that nobody knows, and one that was removed.
    await put(inner, space, {})
    await put(space, UNKNOWN_ROOM, {})
    await alice.ok('PUT', at`v3/rooms/${space}/state/m.space.child/${roomId}`, { body: {} })
    const namesOf = (answer: JsonObject): unknown[] => list(answer, 'rooms').map(({ name }) => name)
    const path = at`v1/rooms/${space}/hierarchy`
    const all = await alice.ok('GET', path)
    expect(namesOf(all)).toEqual(['Space', 'Inner', 'B', 'A'])
    expect(list(all, 'rooms', 0, 'children_state').map((child) => child['state_key'])).toEqual([
      inner,
      a,
      UNKNOWN_ROOM,
    ])
    expect(namesOf(await alice.ok('GET', path, { query: { max_depth: '1' } }))).toEqual([
      'Space',
      'Inner',
      'A',
    ])
    expect(namesOf(await alice.ok('GET', path, { query: { suggested_only: 'true' } }))).toEqual([
      'Space',
      'Inner',
    ])
    const first = await alice.ok('GET', path, { query: { limit: '3' } })
    const from = text(first, 'next_batch')
    expect(namesOf(await alice.ok('GET', path, { query: { limit: '3', from } }))).toEqual(['A'])
    expect(await alice.fails('GET', path, { query: { from, max_depth: '1' } })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
    expect(await carol.fails('GET', path)).toEqual([403, 'M_FORBIDDEN'])
  })

  it('GET mutual_rooms', async () => {
    const mutual = await alice.ok('GET', 'v1/mutual_rooms', { query: { user_id: bob.userId } })
    expect(mutual['joined']).toContain(roomId)
    expect(await alice.ok('GET', 'v1/mutual_rooms', { query: { user_id: '@no:one' } })).toEqual({
      joined: [],
      count: 0,
    })
    expect(await alice.fails('GET', 'v1/mutual_rooms', { query: { user_id: alice.userId } })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
  })
})

describe('POST upgrade', () => {
  it('makes a room like the old one, leads there, and closes the old one', async () => {
    const server = alice.userId.slice(alice.userId.indexOf(':') + 1)
    const old = await sharedRoom(network, alice, bob, {
      name: 'Old',
      room_alias_name: 'upgraded',
      visibility: 'public',
      power_level_content_override: { users: { [bob.userId]: 60 } },
    })
    await network.clock.advance(1)
    const body = { new_version: '12', additional_creators: [bob.userId] }
    expect(await bob.fails('POST', at`v3/rooms/${old}/upgrade`, { body })).toEqual([403, 'M_FORBIDDEN'])
    expect(await carol.fails('POST', at`v3/rooms/${old}/upgrade`, { body })).toEqual([403, 'M_FORBIDDEN'])
    expect(await alice.fails('POST', at`v3/rooms/${old}/upgrade`, { body: { new_version: '9' } })).toEqual([
      400,
      'M_UNSUPPORTED_ROOM_VERSION',
    ])
    const replacement = text(
      await alice.ok('POST', at`v3/rooms/${old}/upgrade`, { body }),
      'replacement_room',
    )
    expect(await alice.ok('GET', at`v3/rooms/${replacement}/state/m.room.create`)).toMatchObject({
      predecessor: { room_id: old },
      additional_creators: [bob.userId],
    })
    expect(await alice.ok('GET', at`v3/rooms/${replacement}/state/m.room.name`)).toEqual({ name: 'Old' })
    expect(await alice.ok('GET', at`v3/rooms/${replacement}/state/m.room.power_levels`)).toMatchObject({
      users: {},
    })
    expect(await alice.ok('GET', at`v3/rooms/${old}/state/m.room.tombstone`)).toMatchObject({
      replacement_room: replacement,
    })
    expect(await alice.ok('GET', at`v3/rooms/${old}/state/m.room.power_levels`)).toMatchObject({
      events_default: 50,
      invite: 50,
    })
    expect(await alice.ok('GET', at`v3/directory/room/${`#upgraded:${server}`}`)).toMatchObject({
      room_id: replacement,
    })
    expect(await alice.ok('GET', at`v3/directory/list/room/${replacement}`)).toEqual({ visibility: 'public' })
  })
})

describe('coverage', () => {
  /** The files of the specification that the rooms endpoints implement. */
  const FILES = new Set(
    (
      'sync create_room joining knocking inviting leaving kicking banning room_send redaction rooms room_state ' +
      'message_pagination event_context relations room_event_by_timestamp receipts read_markers typing directory ' +
      'list_public_rooms list_joined_rooms'
    )
      .split(' ')
      .map((name) => `data/api/client-server/${name}.yaml`),
  )

  it('each operation succeeds and fails in a test above', () => {
    const operations = createSpecValidator()
      .operations('client-server')
      // The path of third-party invites ends in a blank there; they are refused.
      .filter(({ file, template }) => FILES.has(file) && !template.endsWith(' '))
      .map(({ method, template }) => `${method} ${template}`)
    const statuses = (name: string): readonly number[] => [...(coverage.get(name) ?? [])]
    expect(operations.length).toBeGreaterThan(35)
    // Nobody can knock yet.
    const neverWorks = 'POST /_matrix/client/v3/knock/{roomIdOrAlias}'
    expect(operations.filter((name) => name !== neverWorks && !statuses(name).includes(200))).toEqual([])
    expect(operations.filter((name) => !statuses(name).some((status) => status >= 400))).toEqual([])
    expect([...coverage.values()].some((seen) => seen.has(500))).toBe(false)
  })
})
