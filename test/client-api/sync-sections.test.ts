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

const sync = (client: ApiClient, query: Record<string, string> = {}): Promise<JsonObject> =>
  client.ok('GET', 'v3/sync', { query })

const since = (answer: JsonObject): { since: string } => ({ since: text(answer, 'next_batch') })

const bothIn = (body: JsonObject = {}): Promise<string> => sharedRoom(network, alice, bob, body)

const bodiesOf = (answer: JsonObject, roomId: string): unknown[] =>
  list(answer, 'rooms', 'join', roomId, 'timeline', 'events')
    .filter(({ type }) => type === 'm.room.message')
    .map((event) => pick(event, 'content', 'body'))

const typesOf = (events: readonly JsonObject[]): unknown[] => events.map(({ type }) => type)

describe('sections', () => {
  it('show an invite with stripped state, then the room, then the leaving of it', async () => {
    const first = await sync(bob)
    const roomId = await createRoom(alice, { name: 'Kitchen', invite: [bob.userId] })
    await network.settle()
    const invited = await sync(bob, since(first))
    const stripped = list(invited, 'rooms', 'invite', roomId, 'invite_state', 'events')
    expect(typesOf(stripped)).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.name', 'm.room.member']),
    )
    expect(stripped.every((event) => Object.keys(event).length === 4)).toBe(true)
    expect(stripped.find((event) => event['state_key'] === bob.userId)?.['content']).toMatchObject({
      membership: 'invite',
    })

    await bob.ok('POST', at`v3/rooms/${roomId}/join`, { body: {} })
    await network.settle()
    const joined = await sync(bob, since(invited))
    const room = pick(joined, 'rooms', 'join', roomId)
    expect(pick(room, 'summary')).toMatchObject({
      'm.joined_member_count': 2,
      'm.invited_member_count': 0,
      'm.heroes': [alice.userId],
    })
    const all = [...list(room, 'state', 'events'), ...list(room, 'timeline', 'events')]
    expect(typesOf(all)).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.power_levels', 'm.room.member']),
    )
    expect(pick(joined, 'device_lists', 'changed')).toContain(alice.userId)
    const own = list(room, 'timeline', 'events').find((event) => event['state_key'] === bob.userId)
    expect(pick(own, 'unsigned')).toMatchObject({
      prev_content: { membership: 'invite' },
      prev_sender: alice.userId,
    })

    await bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    await network.settle()
    const left = await sync(bob, since(joined))
    expect(list(left, 'rooms', 'leave', roomId, 'timeline', 'events').at(-1)).toMatchObject({
      type: 'm.room.member',
      content: { membership: 'leave' },
    })
    expect(pick(left, 'rooms', 'join', roomId)).toBeUndefined()
    expect(pick(left, 'device_lists', 'left')).toContain(alice.userId)

    expect((await sync(bob))['rooms']).toEqual({ join: {}, invite: {}, knock: {}, leave: {} })
    const archived = await sync(bob, { filter: '{"room":{"include_leave":true}}' })
    expect(pick(archived, 'rooms', 'leave', roomId)).toBeDefined()
    await bob.ok('POST', at`v3/rooms/${roomId}/forget`, { body: {} })
    const forgotten = await sync(bob, { filter: '{"room":{"include_leave":true}}' })
    expect(pick(forgotten, 'rooms', 'leave', roomId)).toBeUndefined()
  })

  it('keep to the filter in a room that was left', async () => {
    const roomId = await bothIn()
    const first = await sync(bob)
    await say(alice, roomId, 'before')
    await network.settle()
    await bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    await network.settle()
    const filter = '{"room":{"timeline":{"types":["m.room.message"]}}}'
    const left = await sync(bob, { ...since(first), filter })
    expect(typesOf(list(left, 'rooms', 'leave', roomId, 'timeline', 'events'))).toEqual(['m.room.message'])
  })

  it('have no timeline at a limit of none, but the whole state and where to read on', async () => {
    const roomId = await bothIn()
    const first = await sync(bob)
    const filter = '{"room":{"include_leave":true,"timeline":{"limit":0}}}'
    await say(alice, roomId, 'before')
    await network.settle()
    const joined = await sync(bob, { ...since(first), filter })
    expect(pick(joined, 'rooms', 'join', roomId)).toMatchObject({
      timeline: { events: [], limited: true },
      unread_notifications: { notification_count: 1 },
    })
    await bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    await network.settle()
    await say(alice, roomId, 'after')
    await network.settle()
    for (const query of [{ filter }, { filter, ...since(joined) }]) {
      const left = pick(await sync(bob, query), 'rooms', 'leave', roomId) as JsonObject
      expect(pick(left, 'timeline')).toMatchObject({ events: [], limited: true })
      const own = list(left, 'state', 'events').find((event) => event['state_key'] === bob.userId)
      expect(pick(own, 'content')).toEqual({ membership: 'leave' })
      const from = text(left, 'timeline', 'prev_batch')
      const page = await bob.ok('GET', at`v3/rooms/${roomId}/messages`, { query: { from, dir: 'b' } })
      expect(typesOf(list(page, 'chunk')).slice(0, 2)).toEqual(['m.room.member', 'm.room.message'])
    }
  })

  it('leave out to-device messages where there are none', async () => {
    expect(await sync(alice)).not.toHaveProperty('to_device')
  })

  it('show a refused invite as left', async () => {
    const roomId = await createRoom(alice, { invite: [bob.userId] })
    await network.settle()
    const invited = await sync(bob)
    await bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    await network.settle()
    const left = await sync(bob, since(invited))
    expect(list(left, 'rooms', 'leave', roomId, 'timeline', 'events').at(-1)).toMatchObject({
      content: { membership: 'leave' },
    })
  })

  it('leave out rooms that the filter excludes, and ignored people', async () => {
    const one = await bothIn({ name: 'One' })
    await network.clock.advance(1)
    const two = await bothIn({ name: 'Two' })
    const answer = await sync(alice, { filter: JSON.stringify({ room: { not_rooms: [one] } }) })
    expect(Object.keys(pick(answer, 'rooms', 'join') as JsonObject)).toEqual([two])
    await say(bob, two, 'spam')
    await network.settle()
    await alice.ok('PUT', at`v3/user/${alice.userId}/account_data/m.ignored_user_list`, {
      body: { ignored_users: { [bob.userId]: {} } },
    })
    expect(bodiesOf(await sync(alice), two)).toEqual([])
  })

  it('bring global and room account data when they change', async () => {
    const roomId = await createRoom(alice)
    const first = await sync(alice)
    await alice.ok('PUT', at`v3/user/${alice.userId}/account_data/org.test`, { body: { a: 1 } })
    await alice.ok('PUT', at`v3/user/${alice.userId}/rooms/${roomId}/account_data/org.room`, {
      body: { b: 2 },
    })
    const second = await sync(alice, since(first))
    expect(list(second, 'account_data', 'events')).toEqual([{ type: 'org.test', content: { a: 1 } }])
    expect(list(second, 'rooms', 'join', roomId, 'account_data', 'events')).toEqual([
      { type: 'org.room', content: { b: 2 } },
    ])
    expect(list(await sync(alice), 'rooms', 'join', roomId, 'account_data', 'events')).toHaveLength(1)
  })
})

describe('receipts and unread counts', () => {
  const counts = (answer: JsonObject, roomId: string): unknown =>
    pick(answer, 'rooms', 'join', roomId, 'unread_notifications')

  it('count what others say until it is read, by either kind of receipt or by answering', async () => {
    const roomId = await bothIn()
    const first = await sync(bob)
    const one = await say(alice, roomId, 'one')
    await say(alice, roomId, 'two')
    await network.settle()
    const second = await sync(bob, since(first))
    expect(counts(second, roomId)).toEqual({ notification_count: 2, highlight_count: 0 })
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${one}`, { body: {} })
    const third = await sync(bob, since(second))
    expect(counts(third, roomId)).toEqual({ notification_count: 1, highlight_count: 0 })
    await say(bob, roomId, 'answer')
    expect(counts(await sync(bob, since(third)), roomId)).toEqual({
      notification_count: 0,
      highlight_count: 0,
    })
    expect(counts(await sync(bob), roomId)).toEqual({ notification_count: 0, highlight_count: 0 })
  })

  it('go to the others, private ones do not', async () => {
    const roomId = await bothIn()
    const eventId = await say(alice, roomId, 'one')
    await network.settle()
    const first = await sync(alice)
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read.private/${eventId}`, { body: {} })
    await network.settle()
    const second = await sync(alice, since(first))
    expect(list(second, 'rooms', 'join', roomId, 'ephemeral', 'events')).toEqual([])
    await bob.ok('POST', at`v3/rooms/${roomId}/read_markers`, {
      body: { 'm.read': eventId, 'm.fully_read': eventId },
    })
    await network.settle()
    const third = await sync(alice, since(second))
    const [receipt] = list(third, 'rooms', 'join', roomId, 'ephemeral', 'events')
    expect(pick(receipt, 'content', eventId, 'm.read', bob.userId, 'ts')).toEqual(expect.any(Number))
    const own = await sync(bob)
    const mine = list(own, 'rooms', 'join', roomId, 'ephemeral', 'events')
    expect(pick(mine[0], 'content', eventId, 'm.read.private', bob.userId)).toBeDefined()
    expect(list(own, 'rooms', 'join', roomId, 'account_data', 'events')).toEqual([
      { type: 'm.fully_read', content: { event_id: eventId } },
    ])
  })

  it('do not go backwards', async () => {
    const roomId = await bothIn()
    const one = await say(alice, roomId, 'one')
    const two = await say(alice, roomId, 'two')
    await network.settle()
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${two}`, { body: {} })
    const first = await sync(bob)
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${one}`, { body: {} })
    expect((await sync(bob, since(first)))['rooms']).toEqual({ join: {}, invite: {}, knock: {}, leave: {} })
  })

  it('are counted for each thread where the client asks for it', async () => {
    const roomId = await bothIn()
    const root = await say(alice, roomId, 'root')
    await network.settle()
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${root}`, { body: {} })
    const reply = {
      msgtype: 'm.text',
      body: 'reply',
      'm.relates_to': { rel_type: 'm.thread', event_id: root },
    }
    const path = at`v3/rooms/${roomId}/send/m.room.message/thread1`
    const inThread = text(await alice.ok('PUT', path, { body: reply }), 'event_id')
    await say(alice, roomId, 'main')
    await network.settle()
    const filter = JSON.stringify({ room: { timeline: { unread_thread_notifications: true } } })
    const answer = await sync(bob, { filter })
    expect(counts(answer, roomId)).toEqual({ notification_count: 1, highlight_count: 0 })
    expect(pick(answer, 'rooms', 'join', roomId, 'unread_thread_notifications')).toEqual({
      [root]: { notification_count: 1, highlight_count: 0 },
    })
    expect(counts(await sync(bob), roomId)).toEqual({ notification_count: 2, highlight_count: 0 })
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${inThread}`, { body: { thread_id: root } })
    expect(
      pick(await sync(bob, { filter }), 'rooms', 'join', roomId, 'unread_thread_notifications'),
    ).toBeUndefined()
    expect(
      await bob.fails('POST', at`v3/rooms/${roomId}/receipt/m.read/${inThread}`, {
        body: { thread_id: 'main' },
      }),
    ).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('of a thread end at a receipt for what its relations lead to the root from', async () => {
    const roomId = await bothIn()
    const relate = (type: string, id: string, kind: string, content: JsonObject = {}): Promise<string> =>
      alice
        .ok('POST', at`v3/rooms/${roomId}/send/${type}`, {
          body: { ...content, 'm.relates_to': { rel_type: kind, event_id: id } },
        })
        .then((answer) => text(answer, 'event_id'))
    const root = await say(alice, roomId, 'root')
    await relate('m.room.message', root, 'm.thread', { msgtype: 'm.text', body: 'reply' })
    const beside = await relate('m.room.message', root, 'm.reference', { msgtype: 'm.text', body: 'see' })
    const reaction = await relate('m.reaction', beside, 'm.annotation')
    const other = await say(alice, roomId, 'other')
    await network.settle()
    const path = (id: string): string => at`v3/rooms/${roomId}/receipt/m.read/${id}`
    await bob.ok('POST', path(reaction), { body: { thread_id: root } })
    expect(await bob.fails('POST', path(other), { body: { thread_id: root } })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
    const filter = JSON.stringify({ room: { timeline: { unread_thread_notifications: true } } })
    const answer = await sync(bob, { filter })
    expect(counts(answer, roomId)).toEqual({ notification_count: 3, highlight_count: 0 })
    expect(pick(answer, 'rooms', 'join', roomId, 'unread_thread_notifications')).toBeUndefined()
  })
})

describe('to-device messages', () => {
  it('are delivered until they are acknowledged by the next token', async () => {
    const first = await sync(bob)
    await alice.ok('PUT', at`v3/sendToDevice/m.test/x1`, {
      body: { messages: { [bob.userId]: { '*': { secret: 1 } } } },
    })
    await network.settle()
    const second = await sync(bob, since(first))
    const expected = [{ sender: alice.userId, type: 'm.test', content: { secret: 1 } }]
    expect(list(second, 'to_device', 'events')).toEqual(expected)
    expect(list(await sync(bob, since(first)), 'to_device', 'events')).toEqual(expected)
    expect(list(await sync(bob, since(second)), 'to_device', 'events')).toEqual([])
    expect(list(await sync(bob), 'to_device', 'events')).toEqual([])
  })
})

describe('lazy-loaded members', () => {
  const filter = JSON.stringify({ room: { state: { lazy_load_members: true }, timeline: { limit: 1 } } })
  const membersIn = (answer: JsonObject, roomId: string, key = 'state'): unknown[] =>
    list(answer, 'rooms', 'join', roomId, key, 'events')
      .filter(({ type }) => type === 'm.room.member')
      .map((event) => text(event, 'state_key'))
      .toSorted()

  it.each(['state', 'state_after'])(
    'bring the senders, the heroes and oneself, each once (%s)',
    async (key) => {
      const query = { filter, ...(key === 'state' ? {} : { use_state_after: 'true' }) }
      const roomId = await bothIn()
      await say(alice, roomId, 'one')
      await network.settle()
      const first = await sync(bob, query)
      expect(membersIn(first, roomId, key)).toEqual([alice.userId, bob.userId].toSorted())
      await say(alice, roomId, 'two')
      await network.settle()
      const second = await sync(bob, { ...query, ...since(first) })
      expect(bodiesOf(second, roomId)).toEqual(['two'])
      expect(membersIn(second, roomId, key)).toEqual([])
      // The answer is lost: the client comes with the token before.
      const again = await sync(bob, { ...query, ...since(first) })
      expect(bodiesOf(again, roomId)).toEqual(['two'])
    },
  )
})
