/** Rules of rooms that clients rely on and that no other test of the Client-Server API holds. */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, createApiClient, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork, type TestNode } from '../kit/node.ts'
import { createRoom, joinFrom, say, sharedRoom } from '../kit/rooms.ts'

let network: TestNetwork
let alice: ApiClient
let bob: ApiClient
let node: TestNode
let server: string

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  const [first, second] = network.members
  if (first === undefined || second === undefined) throw new Error('two members')
  alice = await clientOf(first)
  bob = await clientOf(second)
  node = first.node
  server = node.name
})

afterEach(() => network.close())

/** Somebody else on Alice's node. */
async function newUser(username: string): Promise<ApiClient> {
  const body = { auth: { type: 'm.login.dummy' }, username, password: 'correct horse battery' }
  const session = await alice.ok('POST', 'v3/register', { body })
  return createApiClient(node.clientApi, {
    userId: text(session, 'user_id') as UserId,
    accessToken: text(session, 'access_token'),
  })
}

const put = async (client: ApiClient, roomId: string, type: string, body: JsonObject): Promise<string> =>
  text(await client.ok('PUT', at`v3/rooms/${roomId}/state/${type}/`, { body }), 'event_id')

it('a room for people who cannot be in one is not made', async () => {
  const invite = ['@dan:example.org']
  expect(await alice.fails('POST', 'v3/createRoom', { body: { invite } })).toEqual([403, 'M_FORBIDDEN'])
  expect(await alice.ok('GET', 'v3/joined_rooms')).toEqual({ joined_rooms: [] })
})

describe('an alias that is deleted', () => {
  const alias = (name: string): string => `#${name}:${server}`
  const make = (client: ApiClient, name: string, roomId: string): Promise<JsonObject> =>
    client.ok('PUT', at`v3/directory/room/${alias(name)}`, { body: { room_id: roomId } })
  const canonical = (roomId: string): Promise<JsonObject> =>
    alice.ok('GET', at`v3/rooms/${roomId}/state/m.room.canonical_alias/`)

  it('goes out of the state of the room too', async () => {
    const roomId = await createRoom(alice)
    for (const name of ['one', 'two']) await make(alice, name, roomId)
    await put(alice, roomId, 'm.room.canonical_alias', {
      alias: alias('one'),
      alt_aliases: [alias('one'), alias('two')],
    })
    await alice.ok('DELETE', at`v3/directory/room/${alias('one')}`)
    expect(await canonical(roomId)).toEqual({ alt_aliases: [alias('two')] })
    await alice.ok('DELETE', at`v3/directory/room/${alias('two')}`)
    expect(await canonical(roomId)).toEqual({})
  })

  it('is deleted also by its maker who may not change the state', async () => {
    const roomId = await createRoom(alice, { preset: 'public_chat' })
    const carol = await newUser('carol')
    await carol.ok('POST', at`v3/join/${roomId}`, { body: {} })
    await make(carol, 'carols', roomId)
    await put(alice, roomId, 'm.room.canonical_alias', { alias: alias('carols') })
    await carol.ok('DELETE', at`v3/directory/room/${alias('carols')}`)
    expect(await canonical(roomId)).toEqual({ alias: alias('carols') })
    expect(await alice.fails('GET', at`v3/directory/room/${alias('carols')}`)).toEqual([404, 'M_NOT_FOUND'])
  })
})

describe('state', () => {
  it('that is set to what it is stays the event that it is', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const first = await put(alice, roomId, 'm.room.topic', { topic: 'tea', b: { c: 1, d: 2 } })
    expect(await put(alice, roomId, 'm.room.topic', { b: { d: 2, c: 1 }, topic: 'tea' })).toBe(first)
    expect(await put(alice, roomId, 'm.room.topic', { topic: 'coffee' })).not.toBe(first)
    expect(await put(alice, roomId, 'm.room.topic', { topic: 'tea', b: { c: 1, d: 2 } })).not.toBe(first)
  })

  it('of power levels that nobody may set is malformed, not forbidden', async () => {
    const roomId = await createRoom(alice)
    for (const content of [{ users: { [alice.userId]: 100 } }, { ban: 'much' }, { users: { nobody: 1 } }]) {
      const path = at`v3/rooms/${roomId}/state/m.room.power_levels/`
      expect(await alice.fails('PUT', path, { body: content })).toEqual([400, 'M_BAD_JSON'])
    }
  })
})

describe('a member event', () => {
  it('of what is no user is refused, and makes nobody a member where another server let it in', async () => {
    const content = { membership: 'invite' }
    const body = { initial_state: [{ type: 'm.room.member', state_key: 'nobody', content }] }
    expect(await alice.fails('POST', 'v3/createRoom', { body })).toEqual([400, 'M_INVALID_PARAM'])
    const roomId = await createRoom(alice)
    const put = at`v3/rooms/${roomId}/state/m.room.member/nobody`
    expect(await alice.fails('PUT', put, { body: content })).toEqual([400, 'M_INVALID_PARAM'])
    for (const stateKey of ['', 'nobody', 'x:y']) {
      await node.engine.rooms.send(roomId as RoomId, {
        type: 'm.room.member',
        sender: alice.userId,
        content,
        stateKey,
      })
      expect(pick(await alice.ok('GET', 'v3/sync'), 'rooms', 'join', roomId, 'summary')).toEqual({
        'm.heroes': [],
        'm.joined_member_count': 1,
        'm.invited_member_count': 0,
      })
    }
  })
})

describe('a join', () => {
  it("has the content that the request has, but for what is the server's", async () => {
    const roomId = await createRoom(alice, { preset: 'public_chat' })
    const body = { 'org.test.mood': 'glad', membership: 'ban', reason: 'tea' }
    await bob.ok('POST', at`v3/join/${roomId}`, { query: { via: server }, body })
    await network.settle()
    expect(await alice.ok('GET', at`v3/rooms/${roomId}/state/m.room.member/${bob.userId}`)).toMatchObject({
      'org.test.mood': 'glad',
      membership: 'join',
      reason: 'tea',
    })
  })
})

describe('reading', () => {
  it('an event of a room that one may not look into finds none', async () => {
    const roomId = await createRoom(alice)
    const eventId = await say(alice, roomId, 'secret')
    expect(await bob.fails('GET', at`v3/rooms/${roomId}/event/${eventId}`)).toEqual([404, 'M_NOT_FOUND'])
  })

  it('back to the beginning with lazy-loading brings who made the room', async () => {
    const roomId = await createRoom(alice)
    const query = { dir: 'b', limit: '100', filter: '{"lazy_load_members":true}' }
    const page = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, { query })
    expect(list(page, 'chunk').at(-1)?.['type']).toBe('m.room.create')
    expect(list(page, 'state').map((event) => event['state_key'])).toEqual([alice.userId])
  })
})

describe('a filter', () => {
  it.each([
    { presence: 'x' },
    { room: { timeline: { types: 'x' } } },
    { room: { state: { senders: ['x'] } } },
  ])('that is none is refused when it is made: %j', async (body) => {
    const path = at`v3/user/${alice.userId}/filter`
    expect(await alice.fails('POST', path, { body })).toEqual([400, 'M_BAD_JSON'])
  })
})

describe('what a user set for a room that is replaced', () => {
  const mute = (roomId: string): JsonObject => ({
    actions: ['dont_notify'],
    conditions: [{ kind: 'event_match', key: 'room_id', pattern: roomId }],
  })
  const rule = (kind: string, roomId: string): string => at`v3/pushrules/global/${kind}/${roomId}`
  const tag = (client: ApiClient, roomId: string): string => at`v3/user/${client.userId}/rooms/${roomId}/tags`

  async function settings(client: ApiClient, roomId: string): Promise<void> {
    await client.ok('PUT', rule('room', roomId), { body: { actions: ['notify'] } })
    await client.ok('PUT', rule('override', roomId), { body: mute(roomId) })
    await client.ok('PUT', `${tag(client, roomId)}/m.favourite`, { body: { order: 0.5 } })
  }

  it('goes on in the new room, for who upgrades and who follows', async () => {
    const old = await sharedRoom(network, alice, bob, { preset: 'public_chat' })
    for (const client of [alice, bob]) await settings(client, old)
    const upgraded = await alice.ok('POST', at`v3/rooms/${old}/upgrade`, { body: { new_version: '12' } })
    const made = text(upgraded, 'replacement_room')
    await network.settle()
    await joinFrom(network, bob, alice, made)
    for (const client of [alice, bob]) {
      expect(await client.ok('GET', rule('room', made))).toMatchObject({ actions: ['notify'] })
      expect(await client.ok('GET', rule('override', made))).toMatchObject(mute(made))
      expect(pick(await client.ok('GET', tag(client, made)), 'tags')).toEqual({
        'm.favourite': { order: 0.5 },
      })
    }
  })

  it('does not go to a room that merely says so', async () => {
    const old = await sharedRoom(network, alice, bob)
    await settings(alice, old)
    const creation_content = { predecessor: { room_id: old } }
    const trap = await sharedRoom(network, bob, alice, { creation_content })
    expect(await alice.fails('GET', rule('room', trap))).toEqual([404, 'M_NOT_FOUND'])
    expect(pick(await alice.ok('GET', tag(alice, trap)), 'tags')).toEqual({})
  })
})
