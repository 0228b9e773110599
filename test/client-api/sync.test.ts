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

describe('initial sync', () => {
  it('is empty for a user without rooms, but for account data', async () => {
    const answer = await sync(alice)
    expect(answer['rooms']).toEqual({ join: {}, invite: {}, knock: {}, leave: {} })
    expect(typesOf(list(answer, 'account_data', 'events'))).toContain('m.push_rules')
    expect(answer['device_lists']).toBeUndefined()
    expect(answer['device_unused_fallback_key_types']).toEqual([])
  })

  it('shows the newest events of a room and the state at the start of them', async () => {
    const roomId = await createRoom(alice, { name: 'Kitchen' })
    for (let index = 0; index < 12; index += 1) await say(alice, roomId, `m${index}`)
    const answer = await sync(alice)
    const room = pick(answer, 'rooms', 'join', roomId)
    expect(bodiesOf(answer, roomId)).toEqual(Array.from({ length: 10 }, (_, index) => `m${index + 2}`))
    expect(pick(room, 'timeline', 'limited')).toBe(true)
    expect(pick(room, 'timeline', 'prev_batch')).toMatch(/^t/)
    expect(typesOf(list(room, 'state', 'events'))).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.member', 'm.room.name', 'm.room.power_levels']),
    )
    expect(pick(room, 'state_after')).toBeUndefined()
  })

  it('leaves out of the state what the timeline brings', async () => {
    const roomId = await createRoom(alice)
    const answer = await sync(alice, { filter: '{"room":{"timeline":{"limit":50}}}' })
    expect(list(answer, 'rooms', 'join', roomId, 'state', 'events')).toEqual([])
    expect(pick(answer, 'rooms', 'join', roomId, 'timeline', 'limited')).toBe(false)
    expect(typesOf(list(answer, 'rooms', 'join', roomId, 'timeline', 'events'))[0]).toBe('m.room.create')
  })

  it.each(['use_state_after', 'org.matrix.msc4222.use_state_after'])(
    'with %s tells the state at the end',
    async (name) => {
      const roomId = await createRoom(alice, { name: 'Kitchen' })
      const answer = await sync(alice, { [name]: 'true' })
      const room = pick(answer, 'rooms', 'join', roomId)
      const events = list(room, name.replace('use_', ''), 'events')
      expect(typesOf(events)).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name']))
      expect(pick(room, 'state')).toBeUndefined()
    },
  )
})

describe('incremental sync', () => {
  it('shows what came after, once', async () => {
    const roomId = await createRoom(alice)
    await say(alice, roomId, 'before')
    const first = await sync(alice)
    await say(alice, roomId, 'after')
    const second = await sync(alice, since(first))
    expect(bodiesOf(second, roomId)).toEqual(['after'])
    expect(pick(second, 'rooms', 'join', roomId, 'timeline', 'limited')).toBe(false)
    const third = await sync(alice, since(second))
    expect(third['rooms']).toEqual({ join: {}, invite: {}, knock: {}, leave: {} })
  })

  it('gives the same answer again to a client that lost it', async () => {
    const roomId = await createRoom(alice)
    const first = await sync(alice)
    await say(alice, roomId, 'once')
    const one = await sync(alice, since(first))
    const two = await sync(alice, since(first))
    expect(two).toEqual(one)
  })

  it('tells the sending device its transaction id, and nobody else', async () => {
    const roomId = await bothIn()
    const [first, other] = [await sync(alice), await sync(bob)]
    await say(alice, roomId, 'hello', 'my-txn')
    await network.settle()
    const own = list(await sync(alice, since(first)), 'rooms', 'join', roomId, 'timeline', 'events')
    const theirs = list(await sync(bob, since(other)), 'rooms', 'join', roomId, 'timeline', 'events')
    expect(pick(own[0], 'unsigned', 'transaction_id')).toBe('my-txn')
    expect(theirs[0]).toMatchObject({ content: { body: 'hello' }, unsigned: { membership: 'join' } })
    expect(pick(theirs[0], 'unsigned', 'transaction_id')).toBeUndefined()
  })

  it('marks a gap, with the state changes of the gap and a token that leads into it', async () => {
    const roomId = await createRoom(alice)
    const first = await sync(alice)
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name: 'New' } })
    for (let index = 0; index < 12; index += 1) await say(alice, roomId, `m${index}`)
    const second = await sync(alice, since(first))
    const room = pick(second, 'rooms', 'join', roomId)
    expect(pick(room, 'timeline', 'limited')).toBe(true)
    expect(typesOf(list(room, 'state', 'events'))).toEqual(['m.room.name'])
    const from = text(room, 'timeline', 'prev_batch')
    const page = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, {
      query: { dir: 'b', from, to: since(first).since },
    })
    expect(list(page, 'chunk').map((event) => pick(event, 'content', 'body') ?? event['type'])).toEqual([
      'm1',
      'm0',
      'm.room.name',
    ])
    expect(page['end']).toBeUndefined()
  })

  it('with state_after tells every state change, also those in the timeline', async () => {
    const roomId = await createRoom(alice)
    const first = await sync(alice, { use_state_after: 'true' })
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name: 'New' } })
    const second = await sync(alice, { ...since(first), use_state_after: 'true' })
    const room = pick(second, 'rooms', 'join', roomId)
    expect(typesOf(list(room, 'state_after', 'events'))).toEqual(['m.room.name'])
    expect(typesOf(list(room, 'timeline', 'events'))).toEqual(['m.room.name'])
  })

  it('says what a state event replaced', async () => {
    const roomId = await createRoom(alice, { name: 'Old' })
    const first = await sync(alice)
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name: 'New' } })
    const [event] = list(await sync(alice, since(first)), 'rooms', 'join', roomId, 'timeline', 'events')
    expect(event).toMatchObject({ content: { name: 'New' }, unsigned: { prev_content: { name: 'Old' } } })
    expect(pick(event, 'unsigned', 'replaces_state')).toMatch(/^\$/)
    expect(pick(event, 'unsigned', 'prev_sender')).toBe(alice.userId)
  })

  it('shows a redaction and the redacted event empty', async () => {
    const roomId = await createRoom(alice)
    const eventId = await say(alice, roomId, 'regretted')
    const first = await sync(alice)
    await alice.ok('PUT', at`v3/rooms/${roomId}/redact/${eventId}/r1`, { body: { reason: 'typo' } })
    const [redaction] = list(await sync(alice, since(first)), 'rooms', 'join', roomId, 'timeline', 'events')
    expect(redaction).toMatchObject({
      type: 'm.room.redaction',
      redacts: eventId,
      content: { redacts: eventId },
    })
    const event = await alice.ok('GET', at`v3/rooms/${roomId}/event/${eventId}`)
    expect(event['content']).toEqual({})
    expect(pick(event, 'unsigned', 'redacted_because', 'event_id')).toBe(redaction?.['event_id'])
  })

  it('starts anew for a token from a lost future', async () => {
    const roomId = await createRoom(alice)
    const answer = await sync(alice, { since: 's999999_0' })
    expect(pick(answer, 'rooms', 'join', roomId)).toBeDefined()
  })

  it('with full_state brings the whole state at once', async () => {
    const roomId = await createRoom(alice, { name: 'Kitchen' })
    const first = await sync(alice)
    const second = await sync(alice, { ...since(first), full_state: 'true', timeout: '30000' })
    expect(typesOf(list(second, 'rooms', 'join', roomId, 'state', 'events'))).toContain('m.room.name')
    expect(list(second, 'rooms', 'join', roomId, 'timeline', 'events')).toEqual([])
  })

  it.each([
    { since: 'nonsense' },
    { filter: '{' },
    { filter: 'nosuch' },
    { filter: '{"room":1}' },
    { timeout: 'x' },
  ])('refuses %j', async (query) => {
    expect(await alice.fails('GET', 'v3/sync', { query })).toEqual([400, 'M_INVALID_PARAM'])
  })
})

describe('long polls', () => {
  it('wait for a commit that concerns the user', async () => {
    const roomId = await bothIn()
    const first = await sync(bob)
    const polling = sync(bob, { ...since(first), timeout: '30000' })
    await network.settle()
    await say(alice, roomId, 'wake up')
    expect(bodiesOf(await polling, roomId)).toEqual(['wake up'])
  })

  it('end empty when time is up, with a token that goes on', async () => {
    const first = await sync(bob)
    const polling = sync(bob, { ...since(first), timeout: '30000' })
    await network.clock.advance(30_000)
    const answer = await polling
    expect(answer['rooms']).toEqual({ join: {}, invite: {}, knock: {}, leave: {} })
    expect(answer['next_batch']).toMatch(/^s/)
  })

  it('go on sleeping over commits that concern others, and are cancelled with their request', async () => {
    const [member] = network.members
    const first = await sync(alice)
    const abort = new AbortController()
    const polling = alice.ask('GET', 'v3/sync', {
      query: { ...since(first), timeout: '30000' },
      signal: abort.signal,
    })
    await network.settle()
    const other = await member?.node.engine.users.toDevice.send(
      { userId: alice.userId, deviceId: 'elsewhere' },
      'm.test',
      'x',
      { [bob.userId]: {} },
    )
    expect(other).toBeUndefined()
    await network.settle()
    expect(member?.node.engine.polls.waiting).toBe(1)
    abort.abort()
    await polling.catch(() => undefined)
    await network.settle()
    expect(member?.node.engine.polls.waiting).toBe(0)
  })

  it('wake for typing, which shows until it is over', async () => {
    const roomId = await bothIn()
    const first = await sync(bob)
    const polling = sync(bob, { ...since(first), timeout: '30000' })
    await network.settle()
    await alice.ok('PUT', at`v3/rooms/${roomId}/typing/${alice.userId}`, {
      body: { typing: true, timeout: 10_000 },
    })
    const second = await polling
    const typing = (answer: JsonObject): unknown =>
      list(answer, 'rooms', 'join', roomId, 'ephemeral', 'events').find(({ type }) => type === 'm.typing')?.[
        'content'
      ]
    expect(typing(second)).toEqual({ user_ids: [alice.userId] })
    const after = sync(bob, { ...since(second), timeout: '60000' })
    await network.pass(31_000)
    expect(typing(await after)).toEqual({ user_ids: [] })
  })
})
