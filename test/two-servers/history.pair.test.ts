/** What was said in a room, on two servers: in order, whole, redacted, related, and as far as it may be seen. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createRoom, say, transaction } from '../kit/rooms.ts'
import { CARRIERS, eventually, membership, startPair, stateOf, texts, type Pair } from './pair.ts'

describe.each(CARRIERS)('over %s', (carrier) => {
  let pair: Pair
  let alice: ApiClient
  let bob: ApiClient

  beforeAll(async () => {
    pair = await startPair(carrier)
    alice = await pair.a.person()
    bob = await pair.b.person()
  })
  afterAll(() => pair?.[Symbol.asyncDispose]())

  const join = (client: ApiClient, roomId: string) =>
    client.ok('POST', at`v3/join/${roomId}`, { query: { via: pair.a.name }, body: {} })
  const shared = async (body = {}): Promise<string> => {
    const roomId = await createRoom(alice, { preset: 'public_chat', ...body })
    await join(bob, roomId)
    await membership(alice, roomId, bob.userId, 'join')
    return roomId
  }
  const sees = (client: ApiClient, roomId: string, event: string) =>
    eventually(client, async () => {
      const { status, body } = await client.ask('GET', at`v3/rooms/${roomId}/event/${event}`)
      return status === 200 && body
    })

  /** All of a room's messages from the end, page by page. */
  async function everything(client: ApiClient, roomId: string): Promise<readonly unknown[]> {
    const found: unknown[] = []
    let from: string | undefined
    do {
      const query = { dir: 'b', limit: '20', ...(from === undefined ? {} : { from }) }
      const page = await client.ok('GET', at`v3/rooms/${roomId}/messages`, { query })
      for (const event of list(page, 'chunk'))
        if (event['type'] === 'm.room.message') found.push(pick(event, 'content', 'body'))
      const end = pick(page, 'end')
      from = typeof end === 'string' ? end : undefined
    } while (from !== undefined)
    return found.toReversed()
  }

  it('what was said before one came is fetched, in order', async () => {
    const roomId = await createRoom(alice, { preset: 'public_chat' })
    const said = Array.from({ length: 60 }, (_, index) => `message ${index}`)
    for (const body of said) await say(alice, roomId, body)
    await join(bob, roomId)
    expect(await everything(bob, roomId)).toEqual(said)
  })

  it('what is hidden from those who come later stays so', async () => {
    const visibility = {
      type: 'm.room.history_visibility',
      state_key: '',
      content: { history_visibility: 'joined' },
    }
    const roomId = await createRoom(alice, { preset: 'public_chat', initial_state: [visibility] })
    await say(alice, roomId, 'among us')
    await join(bob, roomId)
    await membership(alice, roomId, bob.userId, 'join')
    await say(alice, roomId, 'welcome')
    await eventually(bob, async () => (await texts(bob, roomId)).includes('welcome'))
    expect(await everything(bob, roomId)).toEqual(['welcome'])
  })

  it('a redaction takes the words away at both', async () => {
    const roomId = await shared()
    const event = await say(alice, roomId, 'oh no')
    await sees(bob, roomId, event)
    await alice.ok('PUT', at`v3/rooms/${roomId}/redact/${event}/${transaction()}`, {
      body: { reason: 'slip' },
    })
    await eventually(bob, async () => {
      const found = await bob.ok('GET', at`v3/rooms/${roomId}/event/${event}`)
      return Object.keys(pick(found, 'content') as object).length === 0
    })
    expect(await texts(bob, roomId)).not.toContain('oh no')
  })

  it('reactions, edits and threads are counted at both', async () => {
    const roomId = await shared()
    const root = await say(alice, roomId, 'root')
    await sees(bob, roomId, root)
    const relate = (type: string, content: object) =>
      bob.ok('PUT', at`v3/rooms/${roomId}/send/${type}/${transaction()}`, { body: content as never })
    const thread = { rel_type: 'm.thread', event_id: root }
    await relate('m.reaction', { 'm.relates_to': { rel_type: 'm.annotation', event_id: root, key: '👍' } })
    await relate('m.room.message', { msgtype: 'm.text', body: 'answer', 'm.relates_to': thread })
    await eventually(alice, async () => {
      const found = await alice.ok('GET', at`v3/rooms/${roomId}/event/${root}`)
      return pick(found, 'unsigned', 'm.relations', 'm.thread', 'count') === 1
    })
    const related = await alice.ok('GET', at`v1/rooms/${roomId}/relations/${root}/m.annotation`)
    expect(list(related, 'chunk')).toHaveLength(1)
  })

  it('an event is found by its time', async () => {
    const roomId = await createRoom(alice, { preset: 'public_chat' })
    const event = await say(alice, roomId, 'early')
    const sent = pick(await alice.ok('GET', at`v3/rooms/${roomId}/event/${event}`), 'origin_server_ts')
    await say(alice, roomId, 'late')
    await join(bob, roomId)
    const query = { ts: JSON.stringify(sent), dir: 'f' }
    const found = await bob.ok('GET', at`v1/rooms/${roomId}/timestamp_to_event`, { query })
    expect(text(found, 'event_id')).toBe(event)
  })

  it('those who write at once on both sides end with the same room', async () => {
    const roomId = await shared()
    const burst = async (client: ApiClient, label: string): Promise<void> => {
      for (let index = 0; index < 10; index += 1) await say(client, roomId, `${label} ${index}`)
    }
    const path = at`v3/rooms/${roomId}/state/m.room.topic/`
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.power_levels/`, {
      body: {
        ...(await stateOf(alice, roomId, 'm.room.power_levels')),
        events: { 'm.room.topic': 0 },
      } as never,
    })
    await eventually(
      bob,
      async () => (await bob.ask('PUT', path, { body: { topic: 'start' } })).status === 200,
    )
    await Promise.all([
      burst(alice, 'a'),
      burst(bob, 'b'),
      alice.ok('PUT', path, { body: { topic: 'of alice' } }),
      bob.ok('PUT', path, { body: { topic: 'of bob' } }),
    ])
    const all = async (client: ApiClient): Promise<string> =>
      JSON.stringify((await texts(client, roomId)).map(String).toSorted())
    const wanted = JSON.stringify(
      ['a', 'b'].flatMap((label) => Array.from({ length: 10 }, (_, index) => `${label} ${index}`)).toSorted(),
    )
    await eventually(alice, async () => (await all(alice)) === wanted)
    await eventually(bob, async () => (await all(bob)) === wanted)
    const topic = (client: ApiClient) => stateOf(client, roomId, 'm.room.topic')
    await eventually(bob, async () => JSON.stringify(await topic(bob)) === JSON.stringify(await topic(alice)))
  })

  it('what was said while one server was down comes when it is back, and what it said itself too', async () => {
    const roomId = await shared()
    await say(bob, roomId, 'before')
    await eventually(alice, async () => (await texts(alice, roomId)).includes('before'))
    await pair.b.stop()
    const missed = Array.from({ length: 30 }, (_, index) => `missed ${index}`)
    for (const body of missed) await say(alice, roomId, body)
    await pair.b.start()
    await eventually(bob, async () => (await texts(bob, roomId)).includes('missed 29'))
    await say(bob, roomId, 'back')
    await eventually(alice, async () => (await texts(alice, roomId)).includes('back'))
    expect(await everything(bob, roomId)).toEqual(['before', ...missed, 'back'])
    expect(await everything(alice, roomId)).toEqual(['before', ...missed, 'back'])
  })
})
