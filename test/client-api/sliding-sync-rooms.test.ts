/** What POST /v4/sync tells of a room, and to whom. spec: proposals/4186-simplified-sliding-sync.md */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createRoom, say, sharedRoom } from '../kit/rooms.ts'
import { ALL, NONE, ask, bodies, next, of, room, roomsOf, stateTypes } from './sliding-sync-kit.ts'

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

describe('sliding sync', () => {
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
})
