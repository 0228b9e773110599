/** What clients from before `/sync` ask for. spec: data/api/client-server/old_sync.yaml, peeking_events.yaml */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork } from '../kit/node.ts'
import { createRoom, say, sharedRoom } from '../kit/rooms.ts'

let network: TestNetwork
let alice: ApiClient
let bob: ApiClient

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  const [first, second] = network.members
  if (first === undefined || second === undefined) throw new Error('two members')
  alice = await clientOf(first)
  bob = await clientOf(second)
})
afterEach(() => network.close())

const events = (client: ApiClient, query: Record<string, string>): Promise<JsonObject> =>
  client.ok('GET', 'v3/events', { query })
const bodies = (chunk: readonly JsonObject[]): readonly unknown[] =>
  chunk.filter(({ type }) => type === 'm.room.message').map((event) => pick(event, 'content', 'body'))

describe('clients from before /sync', () => {
  it('begin with all rooms, invites and, if they like, rooms that were left', async () => {
    const joined = await sharedRoom(network, alice, bob, { name: 'Kitchen', visibility: 'public' })
    const left = await createRoom(bob)
    await say(bob, left, 'goodbye')
    await bob.ok('POST', at`v3/rooms/${left}/leave`, { body: {} })
    for (const body of ['one', 'two', 'three']) await say(alice, joined, body)
    await bob.ok('PUT', at`v3/user/${bob.userId}/rooms/${joined}/account_data/m.x`, { body: { a: 1 } })
    const invited = await createRoom(alice)
    await alice.ok('POST', at`v3/rooms/${invited}/invite`, { body: { user_id: bob.userId } })
    await network.settle()
    const answer = await bob.ok('GET', 'v3/initialSync', { query: { limit: '2' } })
    const of = (roomId: string, all = answer): JsonObject | undefined =>
      list(all, 'rooms').find(({ room_id: id }) => id === roomId)
    expect(list(answer, 'rooms')).toHaveLength(2)
    expect(bodies(list(of(joined), 'messages', 'chunk'))).toEqual(['two', 'three'])
    expect(of(joined)).toMatchObject({ membership: 'join', account_data: [{ type: 'm.x' }] })
    expect(list(of(joined), 'state').map(({ type }) => type)).toContain('m.room.name')
    expect(of(invited)).toMatchObject({
      membership: 'invite',
      invite: { type: 'm.room.member', state_key: bob.userId, room_id: invited },
    })
    const older = await bob.ok('GET', at`v3/rooms/${joined}/messages`, {
      query: { dir: 'b', from: text(of(joined), 'messages', 'start'), limit: '1' },
    })
    expect(bodies(list(older, 'chunk'))).toEqual(['one'])
    const archived = await bob.ok('GET', 'v3/initialSync', { query: { archived: 'true' } })
    expect(of(left, archived)).toMatchObject({ membership: 'leave' })
    expect(bodies(list(of(left, archived), 'messages', 'chunk'))).toEqual(['goodbye'])
  })

  it('wait for news, and miss none', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const end = text(await bob.ok('GET', 'v3/initialSync'), 'end')
    const waiting = events(bob, { from: end, timeout: '30000' })
    await network.settle()
    await say(alice, roomId, 'one')
    const first = await waiting
    expect(first['start']).toBe(end)
    expect(bodies(list(first, 'chunk'))).toEqual(['one'])
    expect(list(first, 'chunk')[0]).toMatchObject({ room_id: roomId })
    await say(alice, roomId, 'two')
    const invited = await createRoom(alice)
    await alice.ok('POST', at`v3/rooms/${invited}/invite`, { body: { user_id: bob.userId } })
    await network.settle()
    const second = await events(bob, { from: text(first, 'end') })
    expect(bodies(list(second, 'chunk'))).toEqual(['two'])
    expect(list(second, 'chunk').map(({ room_id: id }) => id)).toContain(invited)
    expect(list(await events(bob, { from: text(second, 'end') }), 'chunk')).toEqual([])
    expect(list(await events(bob, {}), 'chunk')).toEqual([])
    expect(await bob.fails('GET', 'v3/events', { query: { from: 'x' } })).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('leave to-device messages to /sync', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const [, second] = network.members
    if (second === undefined) throw new Error('two members')
    const since = text(await bob.ok('GET', 'v3/sync'), 'next_batch')
    await alice.ok('PUT', 'v3/sendToDevice/m.room_key/t', {
      body: { messages: { [bob.userId]: { [second.deviceId]: { key: 1 } } } },
    })
    await network.settle()
    const peek = await events(bob, { room_id: roomId })
    await events(bob, { from: text(peek, 'end') })
    const synced = await bob.ok('GET', 'v3/sync', { query: { since } })
    expect(list(synced, 'to_device', 'events')).toMatchObject([{ content: { key: 1 } }])
  })

  it('look into a room that they are not in where that is allowed', async () => {
    const [first] = network.members
    if (first === undefined) throw new Error('a member')
    const { userId, deviceId } = await first.node.signUp('carol')
    const carol = await clientOf({ node: first.node, user: userId, deviceId })
    const open = await createRoom(alice, {
      initial_state: [
        {
          type: 'm.room.history_visibility',
          state_key: '',
          content: { history_visibility: 'world_readable' },
        },
      ],
    })
    const closed = await createRoom(alice)
    const start = text(await events(carol, { room_id: open }), 'end')
    const waiting = events(carol, { room_id: open, from: start, timeout: '30000' })
    await network.settle()
    await say(alice, closed, 'not for others')
    await say(alice, open, 'for all')
    const news = await waiting
    expect(bodies(list(news, 'chunk'))).toEqual(['for all'])
    expect(list(await events(carol, { room_id: open, from: text(news, 'end') }), 'chunk')).toEqual([])
    expect(await carol.fails('GET', 'v3/events', { query: { room_id: closed } })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
    expect(bodies(list(await events(alice, { room_id: open, from: start }), 'chunk'))).toEqual(['for all'])
  })

  it('ask for an event without its room', async () => {
    const roomId = await createRoom(alice)
    const eventId = await say(alice, roomId, 'here')
    expect(await alice.ok('GET', at`v3/events/${eventId}`)).toMatchObject({
      room_id: roomId,
      event_id: eventId,
    })
    const [first] = network.members
    if (first === undefined) throw new Error('a member')
    const { userId, deviceId } = await first.node.signUp('carol')
    const carol = await clientOf({ node: first.node, user: userId, deviceId })
    for (const id of [eventId, `$${'a'.repeat(43)}`])
      expect(await carol.fails('GET', at`v3/events/${id}`)).toEqual([404, 'M_NOT_FOUND'])
  })
})
