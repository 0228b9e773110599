/** POST /v4/sync and its unstable name. spec: proposals/4186-simplified-sliding-sync.md */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deviceKeysOf, testKey } from '../engine/users-kit.ts'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createRoom, say, sharedRoom } from '../kit/rooms.ts'

const PATH = 'v4/sync'
const MAX_CONNECTIONS = 10

let network: TestNetwork
let home: Member
let alice: ApiClient
let bob: ApiClient

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  const [first, second] = network.members
  if (first === undefined || second === undefined) throw new Error('two members')
  home = first
  alice = await clientOf(first)
  bob = await clientOf(second)
})
afterEach(() => network.close())

const ALL = { timeline_limit: 10, required_state: { include: [{}], lazy_members: true } }
const NONE = { timeline_limit: 10, required_state: {} }
const of = (config: JsonObject, more: JsonObject = {}): JsonObject => ({
  lists: { all: { ...config, range: [0, 99], ...more } },
})
const ask = (client: ApiClient, body: JsonObject): Promise<JsonObject> => client.ok('POST', PATH, { body })
/** The next answer of the same connection. */
const next = (client: ApiClient, before: JsonObject, body: JsonObject): Promise<JsonObject> =>
  ask(client, { ...body, pos: text(before, 'pos') })
const roomsOf = (answer: JsonObject): readonly string[] => Object.keys(answer['rooms'] as JsonObject)
const room = (answer: JsonObject, roomId: string): JsonObject | undefined =>
  pick(answer, 'rooms', roomId) as JsonObject | undefined
const bodies = (answer: JsonObject, roomId: string): readonly unknown[] =>
  list(room(answer, roomId), 'timeline')
    .filter(({ type }) => type === 'm.room.message')
    .map((event) => pick(event, 'content', 'body'))
const stateTypes = (answer: JsonObject, roomId: string): readonly unknown[] =>
  list(room(answer, roomId), 'required_state').map(({ type }) => type)

describe('sliding sync', () => {
  it('brings the rooms of a window by activity, each whole at first and then what is new', async () => {
    const one = await createRoom(alice, { name: 'One' })
    const two = await createRoom(alice, { name: 'Two' })
    await say(alice, one, 'first')
    const config = of(ALL, { range: [0, 0] })
    const first = await ask(alice, config)
    expect(roomsOf(first)).toEqual([one])
    expect(first['lists']).toEqual({ all: { count: 2 } })
    expect(room(first, one)).toMatchObject({
      initial: true,
      name: 'One',
      membership: 'join',
      lists: ['all'],
      joined_count: 1,
      invited_count: 0,
      num_live: 0,
    })
    expect(bodies(first, one)).toEqual(['first'])
    expect(stateTypes(first, one)).toContain('m.room.create')
    await say(alice, two, 'second')
    await say(alice, one, 'third')
    const second = await next(alice, first, config)
    expect(roomsOf(second)).toEqual([one])
    expect(room(second, one)).toMatchObject({ num_live: 1, required_state: [] })
    expect(room(second, one)).not.toHaveProperty('initial')
    expect(room(second, one)).not.toHaveProperty('name')
    expect(bodies(second, one)).toEqual(['third'])
    const third = await next(alice, second, of(ALL))
    expect(roomsOf(third)).toEqual([two])
    expect(bodies(third, two)).toEqual(['second'])
    expect(roomsOf(await next(alice, third, of(ALL)))).toEqual([])
  })

  it('waits for news', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const first = await ask(bob, of(NONE))
    const waiting = next(bob, first, { ...of(NONE), timeout: 30_000 })
    await network.settle()
    await say(alice, roomId, 'at last')
    expect(bodies(await waiting, roomId)).toEqual(['at last'])
    const quiet = next(bob, first, { ...of(NONE), timeout: 30_000 })
    // The same position again: what was answered is answered again.
    expect(bodies(await quiet, roomId)).toEqual(['at last'])
  })

  it('goes on where the client is, and knows no other position', async () => {
    const roomId = await createRoom(alice)
    const first = await ask(alice, of(NONE))
    await say(alice, roomId, 'one')
    const second = await next(alice, first, of(NONE))
    const again = await next(alice, first, of(NONE))
    expect(bodies(again, roomId)).toEqual(['one'])
    const third = await next(alice, again, of(NONE))
    const refused = (client: ApiClient, body: JsonObject) => client.fails('POST', PATH, { body })
    const unknown = [400, 'M_UNKNOWN_POS']
    for (const old of [first, second])
      expect(await refused(alice, { ...of(NONE), pos: text(old, 'pos') })).toEqual(unknown)
    const pos = text(third, 'pos')
    expect(await refused(alice, { ...of(NONE), pos, conn_id: 'other' })).toEqual(unknown)
    expect(await refused(bob, { ...of(NONE), pos })).toEqual(unknown)
    expect(await refused(alice, { ...of(NONE), pos: 'x' })).toEqual(unknown)
    // A connection that begins anew ends the one before.
    await ask(alice, of(NONE))
    expect(await refused(alice, { ...of(NONE), pos })).toEqual(unknown)
  })

  it('goes on from the newest answer, though one that nobody waits for comes later', async () => {
    const roomId = await createRoom(alice)
    const first = await ask(alice, of(NONE))
    const given = next(alice, first, { ...of(NONE), timeout: 30_000 })
    await network.settle()
    const second = await next(alice, first, of(NONE))
    await say(alice, roomId, 'late')
    await given
    expect(bodies(await next(alice, second, of(NONE)), roomId)).toEqual(['late'])
  })

  it('has a bounded number of connections for each device, and forgets the oldest', async () => {
    const answers: JsonObject[] = []
    for (let index = 0; index <= MAX_CONNECTIONS; index += 1)
      answers.push(await ask(alice, { ...of(NONE), conn_id: `c${index}` }))
    const again = (index: number): JsonObject => ({
      ...of(NONE),
      conn_id: `c${index}`,
      pos: text(answers[index], 'pos'),
    })
    expect(await alice.fails('POST', PATH, { body: again(0) })).toEqual([400, 'M_UNKNOWN_POS'])
    await ask(alice, again(1))
  })

  it('brings what a subscription asks for, if the user may see it', async () => {
    const mine = await createRoom(alice)
    const other = await createRoom(bob)
    await network.settle()
    const required_state = { include: [{ type: 'm.room.create', state_key: '' }, { type: 'm.room.name' }] }
    const config = { timeline_limit: 1, required_state }
    const body = { room_subscriptions: { [mine]: config, [other]: config, nonsense: config } }
    const first = await ask(alice, body)
    expect(roomsOf(first)).toEqual([mine])
    expect(stateTypes(first, mine)).toEqual(['m.room.create'])
    expect(room(first, mine)).not.toHaveProperty('lists')
    expect(room(first, mine)).toMatchObject({ limited: true, num_live: 0 })
    await alice.ok('PUT', at`v3/rooms/${mine}/state/m.room.name`, { body: { name: 'Now' } })
    const second = await next(alice, first, body)
    expect(room(second, mine)).toMatchObject({ name: 'Now' })
    expect(stateTypes(second, mine)).toEqual(['m.room.name'])
    await alice.ok('PUT', at`v3/rooms/${mine}/state/m.room.name`, { body: {} })
    expect(room(await next(alice, second, body), mine)).toMatchObject({ name: null, heroes: [] })
  })

  it('combines rules, and brings what they ask for anew', async () => {
    const roomId = await createRoom(alice)
    for (let index = 0; index < 5; index += 1) await say(alice, roomId, `m${index}`)
    const small = { timeline_limit: 1, required_state: { include: [{ type: 'm.room.create' }] } }
    const large = { timeline_limit: 3, required_state: { include: [{ type: 'm.room.power_levels' }] } }
    const first = await ask(alice, of(small))
    expect(bodies(first, roomId)).toEqual(['m4'])
    const both = { ...of(small), room_subscriptions: { [roomId]: large } }
    const second = await next(alice, first, both)
    expect(bodies(second, roomId)).toEqual(['m2', 'm3', 'm4'])
    expect(room(second, roomId)).toMatchObject({
      expanded_timeline: true,
      unstable_expanded_timeline: true,
      num_live: 0,
    })
    expect(stateTypes(second, roomId)).toEqual(['m.room.power_levels'])
    const third = await next(alice, second, of(small))
    expect(roomsOf(third)).toEqual([])
    expect(bodies(await next(alice, third, both), roomId)).toEqual([])
  })

  it('loads members as the timeline needs them', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const lazy = { timeline_limit: 1, required_state: { include: [{}], lazy_members: true } }
    const members = (answer: JsonObject): readonly unknown[] =>
      list(room(answer, roomId), 'required_state')
        .filter(({ type }) => type === 'm.room.member')
        .map(({ state_key }) => state_key)
    await say(bob, roomId, 'hi')
    await network.settle()
    const first = await ask(alice, of(lazy))
    expect(members(first)).toEqual([bob.userId])
    await say(alice, roomId, 'hello')
    const second = await next(alice, first, of(lazy))
    expect(members(second)).toEqual([alice.userId])
    await say(alice, roomId, 'again')
    const third = await next(alice, second, of(lazy))
    expect(members(third)).toEqual([])
    await bob.ok('PUT', at`v3/profile/${bob.userId}/displayname`, { body: { displayname: 'Bob' } })
    await network.settle()
    const fourth = await next(alice, third, of(lazy))
    expect(members(fourth)).toEqual([bob.userId])
    expect(pick(room(fourth, roomId), 'heroes', 0)).toEqual({ user_id: bob.userId, displayname: 'Bob' })
  })

  it('tells of invites without what is inside, and of being thrown out', async () => {
    const roomId = await createRoom(alice, { name: 'Secret', topic: 'plans' })
    await say(alice, roomId, 'nothing for bob')
    await alice.ok('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: bob.userId } })
    await network.settle()
    const first = await ask(bob, of(ALL))
    expect(room(first, roomId)).toMatchObject({ membership: 'invite', initial: true })
    expect(room(first, roomId)).not.toHaveProperty('timeline')
    expect(list(room(first, roomId), 'stripped_state').length).toBeGreaterThan(0)
    expect(pick(room(first, roomId), 'invite_state')).toEqual(pick(room(first, roomId), 'stripped_state'))
    await bob.ok('POST', at`v3/rooms/${roomId}/join`, { body: {} })
    await network.settle()
    const second = await next(bob, first, of(ALL))
    expect(room(second, roomId)).toMatchObject({ membership: 'join', initial: true, name: 'Secret' })
    await say(alice, roomId, 'welcome')
    await alice.ok('POST', at`v3/rooms/${roomId}/kick`, { body: { user_id: bob.userId } })
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.topic`, { body: { topic: 'behind your back' } })
    await network.settle()
    const third = await next(bob, second, of(ALL))
    expect(room(third, roomId)).toMatchObject({ membership: 'leave' })
    expect(bodies(third, roomId)).toEqual(['welcome'])
    expect(JSON.stringify(third)).not.toContain('behind')
    expect(roomsOf(await next(bob, third, of(ALL)))).toEqual([])
    // Who was thrown out sees it in a new connection too; who left by themselves does not.
    expect(roomsOf(await ask(bob, of(ALL)))).toEqual([roomId])
    const left = await createRoom(alice)
    const before = await ask(alice, of(ALL))
    await alice.ok('POST', at`v3/rooms/${left}/leave`, { body: {} })
    expect(room(await next(alice, before, of(ALL)), left)).toMatchObject({ membership: 'leave' })
    expect(roomsOf(await ask(alice, of(ALL)))).toEqual([roomId])
  })

  it('tells who is outside of a room nothing of it, when they are banned, pardoned or refuse', async () => {
    const { userId, deviceId } = await home.node.signUp('carol')
    const carol = await clientOf({ node: home.node, user: userId, deviceId })
    const roomId = await createRoom(alice, { name: 'Kitchen', invite: [carol.userId] })
    await carol.ok('POST', at`v3/rooms/${roomId}/join`, { body: {} })
    const config = { ...of(ALL), room_subscriptions: { [roomId]: ALL } }
    let answer = await ask(carol, config)
    const member = (action: string): Promise<JsonObject> =>
      alice.ok('POST', at`v3/rooms/${roomId}/${action}`, { body: { user_id: carol.userId } })
    const told: JsonObject[] = []
    for (const [action, name] of [
      ['kick', 'after kick'],
      ['ban', 'after ban'],
      ['unban', 'after unban'],
    ] as const) {
      await member(action)
      answer = await next(carol, answer, config)
      told.push(room(answer, roomId) ?? {})
      await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name } })
    }
    expect(told.map(({ membership }) => membership)).toEqual(['leave', 'ban', 'leave'])
    expect(JSON.stringify(told)).not.toContain('after')
    await member('invite')
    answer = await next(carol, answer, config)
    expect(JSON.stringify(room(answer, roomId))).toContain('after unban')
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name: 'after refusal' } })
    await carol.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    answer = await next(carol, answer, config)
    expect(room(answer, roomId)).toMatchObject({ membership: 'leave' })
    expect(JSON.stringify(answer)).not.toContain('after refusal')
  })

  it('filters a room that the user was thrown out of by what it was then', async () => {
    const { userId, deviceId } = await home.node.signUp('carol')
    const carol = await clientOf({ node: home.node, user: userId, deviceId })
    const roomId = await createRoom(alice, { invite: [userId] })
    await carol.ok('POST', at`v3/rooms/${roomId}/join`, { body: {} })
    await alice.ok('POST', at`v3/rooms/${roomId}/kick`, { body: { user_id: userId } })
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.encryption`, {
      body: { algorithm: 'm.megolm.v1.aes-sha2' },
    })
    for (const [is_encrypted, count] of [
      [true, 0],
      [false, 1],
    ] as const)
      expect((await ask(carol, of(NONE, { filters: { is_encrypted } })))['lists']).toEqual({ all: { count } })
  })

  it('shows what came while there was no timeline', async () => {
    const roomId = await createRoom(alice)
    const first = await ask(alice, of(NONE))
    await say(alice, roomId, 'unseen')
    const second = await next(alice, first, of({ ...NONE, timeline_limit: 0 }))
    const third = await next(alice, second, of(NONE))
    expect(bodies(third, roomId)).toContain('unseen')
    expect(room(third, roomId)).toMatchObject({ expanded_timeline: true })
  })

  it('excludes and includes as the patterns say', async () => {
    const roomId = await sharedRoom(network, alice, bob, { name: 'Kitchen' })
    const typesFor = async (required_state: JsonObject): Promise<readonly unknown[]> =>
      stateTypes(await ask(alice, of({ timeline_limit: 0, required_state })), roomId)
    expect(await typesFor({ include: [{ type: 'm.room.name' }] })).toEqual(['m.room.name'])
    expect(await typesFor({ include: [{ type: 'm.room.name', state_key: 'x' }] })).toEqual([])
    expect(await typesFor({ include: [{ state_key: bob.userId }] })).toEqual(['m.room.member'])
    expect(await typesFor({ include: [{ state_key: bob.userId }], lazy_members: true })).toEqual([
      'm.room.member',
    ])
    expect(await typesFor({ include: [{ type: 'm.room.member' }], lazy_members: true })).toEqual([])
    expect(await typesFor({ include: [{}], exclude: [{ type: 'm.room.name' }] })).not.toContain('m.room.name')
    expect(await typesFor({ include: [{}], exclude: [{ state_key: bob.userId }] })).toContain('m.room.member')
    expect(await typesFor({ include: [{}], exclude: [{}] })).toEqual([])
  })

  it('filters lists', async () => {
    const plain = await createRoom(alice)
    const direct = await createRoom(alice)
    const secret = await createRoom(alice, {
      initial_state: [
        { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
      ],
    })
    const space = await createRoom(alice, { creation_content: { type: 'm.space' } })
    const invited = await createRoom(bob)
    await bob.ok('POST', at`v3/rooms/${invited}/invite`, { body: { user_id: alice.userId } })
    await network.settle()
    await alice.ok('PUT', at`v3/rooms/${space}/state/m.space.child/${plain}`, { body: { via: ['x'] } })
    await alice.ok('PUT', at`v3/rooms/${space}/state/m.space.child/${secret}`, { body: {} })
    const data = at`v3/user/${alice.userId}/account_data/m.direct`
    await alice.ok('PUT', data, { body: { '@x:y': [direct] } })
    await alice.ok('PUT', at`v3/user/${alice.userId}/rooms/${plain}/tags/m.favourite`, { body: {} })
    const found = async (filters: JsonObject): Promise<readonly string[]> =>
      roomsOf(await ask(alice, of(NONE, { filters })))
    const others = (...left: readonly string[]): unknown =>
      expect.arrayContaining([plain, direct, secret, space, invited].filter((id) => !left.includes(id)))
    expect(await found({ is_dm: true })).toEqual([direct])
    expect(await found({ is_encrypted: true })).toEqual([secret])
    expect(await found({ is_invited: true })).toEqual([invited])
    expect(await found({ room_types: ['m.space'] })).toEqual([space])
    expect(await found({ not_room_types: ['m.space'] })).toEqual(others(space))
    expect(await found({ not_room_types: [null] })).toEqual([space])
    expect(await found({ spaces: [space, '!unknown:x'] })).toEqual([plain])
    expect(await found({ tags: ['m.favourite'] })).toEqual([plain])
    expect(await found({ not_tags: ['m.favourite'] })).toEqual(others(plain))
    expect(await found({ tags: ['m.favourite'], not_tags: ['m.favourite'] })).toEqual([])
    expect(await found({ is_dm: false, is_invited: false, is_encrypted: false })).toEqual(
      expect.arrayContaining([plain, space]),
    )
  })

  it('says when a room becomes a direct chat', async () => {
    const roomId = await createRoom(alice)
    const first = await ask(alice, of(NONE))
    expect(room(first, roomId)).not.toHaveProperty('is_dm')
    const data = at`v3/user/${alice.userId}/account_data/m.direct`
    await alice.ok('PUT', data, { body: { '@x:y': [roomId] } })
    expect(room(await next(alice, first, of(NONE)), roomId)).toMatchObject({ is_dm: true })
  })

  it('stamps proper activity only', async () => {
    const roomId = await createRoom(alice)
    await say(alice, roomId, 'one')
    const first = await ask(alice, of(NONE))
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.topic`, { body: { topic: 't' } })
    const second = await next(alice, first, of(NONE))
    expect(room(second, roomId)?.['bump_stamp']).toBe(room(first, roomId)?.['bump_stamp'])
    await say(alice, roomId, 'two')
    const third = await next(alice, second, of(NONE))
    expect(Number(room(third, roomId)?.['bump_stamp'])).toBeGreaterThan(
      Number(room(first, roomId)?.['bump_stamp']),
    )
  })

  it('counts what is unread', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const first = await ask(bob, of(NONE))
    await say(alice, roomId, 'look')
    await network.settle()
    const second = await next(bob, first, of(NONE))
    expect(room(second, roomId)).toMatchObject({ notification_count: 1, highlight_count: 0 })
  })

  it('understands the dialect of deployed clients', async () => {
    const roomId = await createRoom(alice, { name: 'Kitchen' })
    const body = {
      lists: {
        all: {
          ranges: [
            [0, 0],
            [2, 3],
          ],
          timeline_limit: 1,
          required_state: [
            ['m.room.member', '$ME'],
            ['m.room.member', '$LAZY'],
            ['m.room.name', '*'],
            ['*', ''],
          ],
          filters: { is_invite: false },
        },
      },
      extensions: {},
    }
    const path = 'unstable/org.matrix.simplified_msc3575/sync'
    const first = await alice.ok('POST', path, { body, query: { timeout: '0' } })
    expect(stateTypes(first, roomId)).toEqual(
      expect.arrayContaining(['m.room.member', 'm.room.name', 'm.room.create']),
    )
    await say(alice, roomId, 'hi')
    const query = { pos: text(first, 'pos'), timeout: '1000' }
    expect(bodies(await alice.ok('POST', path, { body, query }), roomId)).toEqual(['hi'])
    const { unstable_features } = await alice.ok('GET', 'versions')
    expect(unstable_features).toMatchObject({ 'org.matrix.simplified_msc3575': true })
  })

  it('gives positions that are tokens of timelines', async () => {
    const roomId = await createRoom(alice)
    await say(alice, roomId, 'before')
    const pos = text(await ask(alice, of(NONE)), 'pos')
    await say(alice, roomId, 'after')
    const query = { dir: 'b', from: pos, limit: '1' }
    const page = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, { query })
    expect(pick(page, 'chunk', 0, 'content', 'body')).toBe('before')
  })

  it.each<[string, JsonObject]>([
    ['too many lists', { lists: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`l${n}`, NONE])) }],
    [
      'too many subscriptions',
      { room_subscriptions: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`!r${n}:x`, NONE])) },
    ],
    ['too many patterns', of({ required_state: { include: Array.from({ length: 101 }, () => ({})) } })],
    ['a negative range', of(NONE, { range: [-1, 5] })],
    ['a presence that is none', { set_presence: 'busy' }],
    ['a limit that is none', of({ ...NONE, timeline_limit: -1 })],
    ['a list that is none', { lists: { a: 7 } }],
    ['a token that is none', { extensions: { to_device: { enabled: true, since: '-1' } } }],
  ])('refuses %s', async (_, body) => {
    const [status] = await alice.fails('POST', PATH, { body })
    expect(status).toBe(400)
  })

  it('takes huge ranges and limits for what there is', async () => {
    const roomId = await createRoom(alice)
    for (let index = 0; index < 3; index += 1) await say(alice, roomId, `m${index}`)
    const answer = await ask(alice, of({ ...NONE, timeline_limit: 10 ** 9 }, { range: [0, 10 ** 9] }))
    expect(bodies(answer, roomId)).toEqual(['m0', 'm1', 'm2'])
  })
})

describe('extensions of sliding sync', () => {
  const enabled = { enabled: true }
  const extension = (answer: JsonObject, name: string): JsonObject =>
    pick(answer, 'extensions', name) as JsonObject

  it('to-device messages come until they are acknowledged', async () => {
    const { toDevice } = home.node.engine.users
    const caller = { userId: alice.userId, deviceId: home.deviceId }
    const send = (n: number) =>
      toDevice.send(caller, 'm.test', `t${n}`, { [alice.userId]: { [home.deviceId]: { n } } })
    for (let n = 0; n < 3; n += 1) await send(n)
    const seen = (answer: JsonObject): readonly unknown[] =>
      list(extension(answer, 'to_device'), 'events').map((event) => pick(event, 'content', 'n'))
    const first = await ask(alice, { extensions: { to_device: { enabled: true, limit: 2 } } })
    expect(seen(first)).toEqual([0, 1])
    // A new connection that does not say what it has.
    const again = await ask(alice, { extensions: { to_device: enabled } })
    expect(seen(again)).toEqual([0, 1, 2])
    const since = text(extension(first, 'to_device'), 'next_batch')
    const third = await ask(alice, { extensions: { to_device: { enabled: true, since } } })
    expect(seen(third)).toEqual([2])
    const last = text(extension(third, 'to_device'), 'next_batch')
    const waiting = next(alice, third, {
      extensions: { to_device: { enabled: true, since: last } },
      timeout: 30_000,
    })
    await network.settle()
    await send(3)
    expect(seen(await waiting)).toEqual([3])
  })

  it('to-device messages wait for who has a token of a future that was lost with the store', async () => {
    const { toDevice } = home.node.engine.users
    const caller = { userId: alice.userId, deviceId: home.deviceId }
    await toDevice.send(caller, 'm.test', 't', { [alice.userId]: { [home.deviceId]: { n: 0 } } })
    const answer = await ask(alice, { extensions: { to_device: { enabled: true, since: '999999' } } })
    expect(list(extension(answer, 'to_device'), 'events')).toHaveLength(1)
    expect(Number(text(extension(answer, 'to_device'), 'next_batch'))).toBeLessThan(999_999)
  })

  it('e2ee tells counts, and whose devices changed', async () => {
    await sharedRoom(network, alice, bob)
    const body = { extensions: { e2ee: enabled } }
    const first = await ask(bob, body)
    expect(extension(first, 'e2ee')).toEqual({
      device_one_time_keys_count: expect.any(Object) as object,
      device_unused_fallback_key_types: [],
    })
    const keys = deviceKeysOf(home.user, home.deviceId, testKey(1))
    await alice.ok('POST', 'v3/keys/upload', { body: { device_keys: keys } })
    await network.settle()
    const second = await next(bob, first, body)
    expect(pick(extension(second, 'e2ee'), 'device_lists', 'changed')).toEqual([alice.userId])
  })

  it('account data comes whole at first, then what changes, for rooms of the answer', async () => {
    const one = await createRoom(alice)
    const two = await createRoom(alice)
    await say(alice, one, 'newest')
    const put = (roomId: string, value: number): Promise<JsonObject> =>
      alice.ok('PUT', at`v3/user/${alice.userId}/rooms/${roomId}/account_data/m.x`, { body: { value } })
    await put(one, 1)
    await put(two, 2)
    const body = { ...of(NONE, { range: [0, 0] }), extensions: { account_data: enabled } }
    const first = await ask(alice, body)
    const types = list(extension(first, 'account_data'), 'global').map(({ type }) => type)
    expect(types).toContain('m.push_rules')
    expect(extension(first, 'account_data')['rooms']).toEqual({
      [one]: [{ type: 'm.x', content: { value: 1 } }],
    })
    await put(one, 3)
    await put(two, 4)
    await alice.ok('PUT', at`v3/user/${alice.userId}/account_data/m.y`, { body: { y: 1 } })
    const second = await next(alice, first, body)
    expect(extension(second, 'account_data')).toEqual({
      global: [{ type: 'm.y', content: { y: 1 } }],
      rooms: { [one]: [{ type: 'm.x', content: { value: 3 } }] },
    })
    const third = await next(alice, second, { ...of(NONE), extensions: { account_data: enabled } })
    expect(extension(third, 'account_data')['rooms']).toEqual({
      [two]: [{ type: 'm.x', content: { value: 4 } }],
    })
    // Of what changed while it was not asked for nothing is lost.
    const without = await next(alice, third, of(NONE))
    await put(two, 5)
    const off = await next(alice, without, of(NONE))
    await alice.ok('PUT', at`v3/user/${alice.userId}/account_data/m.z`, { body: { z: 1 } })
    const on = await next(alice, off, { ...of(NONE), extensions: { account_data: enabled } })
    expect(list(extension(on, 'account_data'), 'global').map(({ type }) => type)).toContain('m.z')
    expect(pick(extension(on, 'account_data'), 'rooms', two)).toEqual([
      { type: 'm.x', content: { value: 5 } },
    ])
  })

  it('receipts and typing come for the rooms that are asked for', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const eventId = await say(alice, roomId, 'read me')
    await network.settle()
    const extensions = { receipts: enabled, typing: { enabled: true, lists: ['all'] } }
    const body = { ...of(NONE), extensions }
    const first = await ask(alice, body)
    expect(extension(first, 'receipts')).toEqual({ rooms: {} })
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${eventId}`, { body: {} })
    await bob.ok('PUT', at`v3/rooms/${roomId}/typing/${bob.userId}`, {
      body: { typing: true, timeout: 10_000 },
    })
    await network.settle()
    const second = await next(alice, first, body)
    expect(pick(extension(second, 'receipts'), 'rooms', roomId)).toMatchObject({
      type: 'm.receipt',
      content: { [eventId]: { 'm.read': { [bob.userId]: {} } } },
    })
    expect(extension(second, 'typing')).toEqual({
      rooms: { [roomId]: { type: 'm.typing', content: { user_ids: [bob.userId] } } },
    })
    const third = await next(alice, second, body)
    expect(extension(third, 'receipts')).toEqual({ rooms: {} })
    // Who comes in by an invite gets the receipts that are there.
    const { userId, deviceId } = await home.node.signUp('carol')
    const carol = await clientOf({ node: home.node, user: userId, deviceId })
    const entered = await createRoom(alice)
    const read = await say(alice, entered, 'hello')
    await alice.ok('POST', at`v3/rooms/${entered}/receipt/m.read/${read}`, { body: {} })
    await alice.ok('POST', at`v3/rooms/${entered}/invite`, { body: { user_id: carol.userId } })
    const invited = await ask(carol, body)
    await carol.ok('POST', at`v3/rooms/${entered}/join`, { body: {} })
    expect(pick(extension(await next(carol, invited, body), 'receipts'), 'rooms', entered)).toBeDefined()
    const elsewhere = { receipts: { enabled: true, lists: ['none'], rooms: [] } }
    const other = await ask(alice, { ...of(NONE), extensions: elsewhere })
    expect(extension(other, 'receipts')).toEqual({ rooms: {} })
    const fresh = await ask(alice, body)
    expect(pick(extension(fresh, 'receipts'), 'rooms', roomId)).toBeDefined()
  })
})
