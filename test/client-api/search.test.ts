/** POST /search. spec: client-server-api/modules/search.md */
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

const search = async (
  client: ApiClient,
  search_term: string,
  more: JsonObject = {},
  query: Record<string, string> = {},
): Promise<JsonObject> => {
  const body = { search_categories: { room_events: { search_term, ...more } } }
  return pick(
    await client.ok('POST', 'v3/search', { body, query }),
    'search_categories',
    'room_events',
  ) as JsonObject
}
const bodies = (answer: JsonObject): readonly unknown[] =>
  list(answer, 'results').map((one) => pick(one, 'result', 'content', 'body'))
const RECENT = { order_by: 'recent' }

describe('search', () => {
  it('finds events with all of the words, without regard to case, the newest first if wished', async () => {
    const roomId = await createRoom(alice)
    await say(alice, roomId, 'Martians and men')
    await say(alice, roomId, 'men without')
    await say(alice, roomId, 'the MARTIANS came for men, men said')
    const answer = await search(alice, 'Men martians', RECENT)
    expect(bodies(answer)).toEqual(['the MARTIANS came for men, men said', 'Martians and men'])
    expect(answer['count']).toBe(2)
    expect(answer['highlights']).toEqual(['men', 'martians'])
    expect(bodies(await search(alice, 'nobody men'))).toEqual([])
    expect(bodies(await search(alice, ' ! '))).toEqual([])
  })

  it('ranks what is more about the words first', async () => {
    const roomId = await createRoom(alice)
    await say(alice, roomId, 'tea')
    await say(alice, roomId, 'there was once tea in a very long story of other things')
    const answer = await search(alice, 'tea')
    expect(bodies(answer)[0]).toBe('tea')
    const [first = 0, second = 0] = list(answer, 'results').map(({ rank }) => Number(rank))
    expect(first).toBeGreaterThan(second)
    expect(bodies(await search(alice, 'tea', RECENT))[1]).toBe('tea')
  })

  it('keeps what ranks alike in the order in which it was said', async () => {
    const roomId = await createRoom(alice)
    for (const body of ['tea one', 'tea two']) {
      await say(alice, roomId, body)
      await network.clock.advance(1_000)
    }
    const first = await search(alice, 'tea', { filter: { limit: 1 } })
    expect(bodies(first)).toEqual(['tea one'])
    const second = await search(
      alice,
      'tea',
      { filter: { limit: 1 } },
      { next_batch: text(first, 'next_batch') },
    )
    expect(bodies(second)).toEqual(['tea two'])
    const last = await search(
      alice,
      'tea',
      { filter: { limit: 1 } },
      { next_batch: text(second, 'next_batch') },
    )
    expect(last).toMatchObject({ count: 2, results: [] })
    expect(last['next_batch']).toBeUndefined()
  })

  it('finds words of scripts without spaces', async () => {
    const roomId = await createRoom(alice)
    await say(alice, roomId, '我们明天去北京')
    expect(bodies(await search(alice, '北京'))).toEqual(['我们明天去北京'])
  })

  it('finds names and topics, by the keys that are asked for', async () => {
    const roomId = await createRoom(alice, { name: 'Green kitchen', topic: 'green tea' })
    await say(alice, roomId, 'green')
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.topic`, {
      body: {
        topic: '',
        'm.topic': { 'm.text': [{ mimetype: 'text/html', body: 'red' }, { body: 'Green leaf' }] },
      },
    })
    const types = (answer: JsonObject): readonly unknown[] =>
      list(answer, 'results').map((one) => pick(one, 'result', 'type'))
    const all = ['m.room.message', 'm.room.name', 'm.room.topic', 'm.room.topic']
    const found = types(await search(alice, 'green'))
    expect(found).toHaveLength(all.length)
    expect(found).toEqual(expect.arrayContaining(all))
    expect(types(await search(alice, 'green', { keys: ['content.name'] }))).toEqual(['m.room.name'])
    expect(bodies(await search(alice, 'red'))).toEqual([])
  })

  it('follows what came after the last search, and what is redacted', async () => {
    const roomId = await createRoom(alice)
    const eventId = await say(alice, roomId, 'a secret word')
    expect(bodies(await search(alice, 'word'))).toEqual(['a secret word'])
    await say(alice, roomId, 'another word')
    expect(bodies(await search(alice, 'word', RECENT))).toEqual(['another word', 'a secret word'])
    await alice.ok('PUT', at`v3/rooms/${roomId}/redact/${eventId}/r`, { body: {} })
    for (const order of [RECENT, {}])
      expect(bodies(await search(alice, 'word', order))).toEqual(['another word'])
    const [first] = network.members
    const index = await first?.node.store.range('search-word', '', '\u00ff')
    expect(index?.filter(([key]) => key.includes('another'))).toHaveLength(1)
    expect(index?.filter(([key]) => key.includes('secret'))).toEqual([])
  })

  it('shows what the user may see, and no more', async () => {
    const roomId = await sharedRoom(network, alice, bob, {
      initial_state: [
        { type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } },
      ],
    })
    await say(alice, roomId, 'hello while here')
    await network.settle()
    expect(bodies(await search(bob, 'hello'))).toEqual(['hello while here'])
    await bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    await network.settle()
    await say(alice, roomId, 'hello behind your back')
    await network.settle()
    const answer = await search(bob, 'hello')
    expect(bodies(answer)).toEqual(['hello while here'])
    expect(answer['count']).toBe(1)
    await bob.ok('POST', at`v3/rooms/${roomId}/forget`, { body: {} })
    expect(bodies(await search(bob, 'hello'))).toEqual([])
    await createRoom(alice)
    expect(bodies(await search(bob, 'alice'))).toEqual([])
  })

  it('leaves out encrypted rooms, ignored users and what a filter leaves out', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const other = await createRoom(bob)
    const secret = await createRoom(bob)
    for (const room of [roomId, other, secret]) await say(bob, room, 'find me here')
    await say(alice, roomId, 'find me too')
    await bob.ok('PUT', at`v3/rooms/${secret}/state/m.room.encryption`, {
      body: { algorithm: 'm.megolm.v1.aes-sha2' },
    })
    await network.settle()
    const found = async (filter: JsonObject): Promise<number> =>
      list(await search(bob, 'find', { filter }), 'results').length
    expect(await found({})).toBe(3)
    expect(await found({ rooms: [roomId] })).toBe(2)
    expect(await found({ not_rooms: [roomId] })).toBe(1)
    expect(await found({ senders: [alice.userId] })).toBe(1)
    await bob.ok('PUT', at`v3/user/${bob.userId}/account_data/m.ignored_user_list`, {
      body: { ignored_users: { [alice.userId]: {} } },
    })
    expect(await found({})).toBe(2)
  })

  it('goes on page by page, of all and of a group', async () => {
    const one = await createRoom(alice)
    const two = await createRoom(alice)
    for (let index = 0; index < 7; index += 1) {
      await say(alice, index % 2 === 0 ? one : two, `page ${index}`)
      await network.clock.advance(1_000)
    }
    const criteria = { ...RECENT, filter: { limit: 3 }, groupings: { group_by: [{ key: 'room_id' }] } }
    const first = await search(alice, 'page', criteria)
    expect(bodies(first)).toEqual(['page 6', 'page 5', 'page 4'])
    expect(first['count']).toBe(7)
    const second = await search(alice, 'page', criteria, { next_batch: text(first, 'next_batch') })
    expect(bodies(second)).toEqual(['page 3', 'page 2', 'page 1'])
    const third = await search(alice, 'page', criteria, { next_batch: text(second, 'next_batch') })
    expect(bodies(third)).toEqual(['page 0'])
    expect(third['next_batch']).toBeUndefined()
    expect(pick(first, 'groups', 'room_id', one, 'results')).toHaveLength(2)
    const inOne = { next_batch: text(first, 'groups', 'room_id', one, 'next_batch') }
    expect(bodies(await search(alice, 'page', criteria, inOne))).toEqual(['page 2', 'page 0'])
    for (const next_batch of ['nonsense', '[]', '[1,2,3,"$x","type","y"]'])
      expect(
        await alice.fails('POST', 'v3/search', {
          query: { next_batch },
          body: { search_categories: { room_events: { search_term: 'page' } } },
        }),
      ).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('tells what is around a result, who wrote it and the state of the room', async () => {
    const roomId = await createRoom(alice, { name: 'Kitchen' })
    await alice.ok('PUT', at`v3/profile/${alice.userId}/displayname`, { body: { displayname: 'Alice' } })
    for (const body of ['one', 'two', 'three', 'four', 'five']) await say(alice, roomId, body)
    const event_context = { before_limit: 1, after_limit: 2, include_profile: true }
    const answer = await search(alice, 'three', { event_context, include_state: true })
    const [result] = list(answer, 'results')
    const around = (side: string): unknown[] =>
      list(result, 'context', side).map((event) => pick(event, 'content', 'body'))
    expect(around('events_before')).toEqual(['two'])
    expect(around('events_after')).toEqual(['four', 'five'])
    expect(pick(result, 'context', 'profile_info', alice.userId)).toEqual({ displayname: 'Alice' })
    expect(list(answer, 'state', roomId).map(({ type }) => type)).toContain('m.room.name')
  })

  it('goes into the room that one was upgraded from', async () => {
    const old = await createRoom(alice)
    await say(alice, old, 'before the move')
    const body = { new_version: '11' }
    const fresh = text(await alice.ok('POST', at`v3/rooms/${old}/upgrade`, { body }), 'replacement_room')
    await say(alice, fresh, 'after the move')
    const answer = await search(alice, 'move', { ...RECENT, filter: { rooms: [fresh] } })
    expect(bodies(answer)).toEqual(['after the move', 'before the move'])
  })
})
