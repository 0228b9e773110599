/** Members of a room on two servers: how they come, go and are put out. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { at, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createRoom, say } from '../kit/rooms.ts'
import { CARRIERS, eventually, invited, membership, startPair, stateOf, texts, type Pair } from './pair.ts'

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
  const act = (client: ApiClient, deed: string, roomId: string, body = {}) =>
    client.ok('POST', at`v3/rooms/${roomId}/${deed}`, { body })

  it.each(['10', '11', '12'])('a room of version %s is joined and talked in', async (version) => {
    const roomId = await shared({ room_version: version })
    await say(alice, roomId, 'from a')
    await eventually(bob, async () => (await texts(bob, roomId)).includes('from a'))
    await say(bob, roomId, 'from b')
    await eventually(alice, async () => (await texts(alice, roomId)).includes('from b'))
    expect(await texts(alice, roomId)).toEqual(await texts(bob, roomId))
  })

  it('a room is joined by its alias, which both resolve', async () => {
    const name = `alias-${carrier}`
    const roomId = await createRoom(alice, { preset: 'public_chat', room_alias_name: name })
    const alias = `#${name}:${pair.a.name}`
    const found = await bob.ok('GET', at`v3/directory/room/${alias}`)
    expect(found).toMatchObject({ room_id: roomId, servers: [pair.a.name] })
    expect(await bob.ok('POST', at`v3/join/${alias}`, { body: {} })).toEqual({ room_id: roomId })
    await membership(alice, roomId, bob.userId, 'join')
    expect(await bob.fails('GET', at`v3/directory/room/${`#none:${pair.a.name}`}`)).toEqual([
      404,
      'M_NOT_FOUND',
    ])
  })

  it('an invite is seen with its room, and accepted', async () => {
    const roomId = await createRoom(alice, { name: 'Tea', invite: [bob.userId] })
    await invited(bob, roomId)
    const sync = await bob.ok('GET', 'v3/sync')
    const state = list(sync, 'rooms', 'invite', roomId, 'invite_state', 'events')
    expect(state.find(({ type }) => type === 'm.room.name')).toMatchObject({ content: { name: 'Tea' } })
    await act(bob, 'join', roomId)
    await membership(alice, roomId, bob.userId, 'join')
  })

  it('an invite is refused, or withdrawn', async () => {
    const refused = await createRoom(alice, { invite: [bob.userId] })
    await invited(bob, refused)
    await act(bob, 'leave', refused)
    await membership(alice, refused, bob.userId, 'leave')
    const withdrawn = await createRoom(alice, { invite: [bob.userId] })
    await invited(bob, withdrawn)
    await act(alice, 'kick', withdrawn, { user_id: bob.userId })
    const isGone = async () =>
      pick(await bob.ok('GET', 'v3/sync'), 'rooms', 'invite', withdrawn) === undefined
    await eventually(bob, isGone)
    const query = { via: pair.a.name }
    expect(await bob.fails('POST', at`v3/join/${withdrawn}`, { query, body: {} })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
  })

  it('nobody joins without an invite where one is needed', async () => {
    const roomId = await createRoom(alice)
    const query = { via: pair.a.name }
    expect(await bob.fails('POST', at`v3/join/${roomId}`, { query, body: {} })).toEqual([403, 'M_FORBIDDEN'])
  })

  it('a knock is taken, answered and taken back', async () => {
    const rules = { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }
    const roomId = await createRoom(alice, { initial_state: [rules] })
    const knock = () =>
      bob.ok('POST', at`v3/knock/${roomId}`, { query: { via: pair.a.name }, body: { reason: 'tea?' } })
    await knock()
    await membership(alice, roomId, bob.userId, 'knock')
    await act(bob, 'leave', roomId)
    await membership(alice, roomId, bob.userId, 'leave')
    await knock()
    await membership(alice, roomId, bob.userId, 'knock')
    await act(alice, 'invite', roomId, { user_id: bob.userId })
    await invited(bob, roomId)
    await act(bob, 'join', roomId)
    await membership(alice, roomId, bob.userId, 'join')
  })

  it('a restricted room is open to the members of another', async () => {
    const club = await createRoom(alice, { preset: 'public_chat' })
    const allow = [{ type: 'm.room_membership', room_id: club }]
    const rules = { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'restricted', allow } }
    const inner = await createRoom(alice, { initial_state: [rules] })
    const query = { via: pair.a.name }
    expect(await bob.fails('POST', at`v3/join/${inner}`, { query, body: {} })).toEqual([403, 'M_FORBIDDEN'])
    await join(bob, club)
    await join(bob, inner)
    await membership(alice, inner, bob.userId, 'join')
    const content = await stateOf(alice, inner, 'm.room.member', bob.userId)
    expect(content).toMatchObject({ join_authorised_via_users_server: alice.userId })
  })

  it('a member is put out, banned, let in again, and leaves', async () => {
    const roomId = await shared()
    await act(alice, 'kick', roomId, { user_id: bob.userId, reason: 'late' })
    await membership(bob, roomId, bob.userId, 'leave')
    await join(bob, roomId)
    await act(alice, 'ban', roomId, { user_id: bob.userId })
    await membership(bob, roomId, bob.userId, 'ban')
    const query = { via: pair.a.name }
    expect(await bob.fails('POST', at`v3/join/${roomId}`, { query, body: {} })).toEqual([403, 'M_FORBIDDEN'])
    await act(alice, 'unban', roomId, { user_id: bob.userId })
    await eventually(
      bob,
      async () => (await bob.ask('POST', at`v3/join/${roomId}`, { query, body: {} })).status === 200,
    )
    await membership(alice, roomId, bob.userId, 'join')
    await act(bob, 'leave', roomId)
    await membership(alice, roomId, bob.userId, 'leave')
  })

  it('power that is given is used from the other server, and none that is not', async () => {
    const roomId = await shared()
    const path = at`v3/rooms/${roomId}/state/m.room.topic/`
    expect(await bob.fails('PUT', path, { body: { topic: 'no' } })).toEqual([403, 'M_FORBIDDEN'])
    const levels = await stateOf(alice, roomId, 'm.room.power_levels')
    const users = { ...(levels?.['users'] as object), [bob.userId]: 50 }
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.power_levels/`, {
      body: { ...(levels as object), users },
    })
    await eventually(bob, async () => (await bob.ask('PUT', path, { body: { topic: 'yes' } })).status === 200)
    await eventually(alice, async () => (await stateOf(alice, roomId, 'm.room.topic'))?.['topic'] === 'yes')
  })

  it('a server that the rules of the room deny is not heard', async () => {
    const roomId = await shared()
    // Ports are no part of what is matched.
    const acl = { allow: ['*'], deny: [pair.b.name.replace(/:\d+$/, '')], allow_ip_literals: true }
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.server_acl/`, { body: acl })
    await say(bob, roomId, 'denied')
    const open = await shared()
    await say(bob, open, 'heard')
    await eventually(alice, async () => (await texts(alice, open)).includes('heard'))
    expect(await texts(alice, roomId)).not.toContain('denied')
  })

  it('both servers leave the room, come again and see what was said meanwhile', async () => {
    const roomId = await shared()
    await act(bob, 'leave', roomId)
    await membership(alice, roomId, bob.userId, 'leave')
    await say(alice, roomId, 'while away')
    await join(bob, roomId)
    await eventually(bob, async () => (await texts(bob, roomId)).includes('while away'))
  })

  it('a room is upgraded, and members of the other server follow', async () => {
    const roomId = await shared({ room_version: '11' })
    const upgraded = await alice.ok('POST', at`v3/rooms/${roomId}/upgrade`, { body: { new_version: '12' } })
    const next = text(upgraded, 'replacement_room')
    await eventually(
      bob,
      async () => (await stateOf(bob, roomId, 'm.room.tombstone'))?.['replacement_room'] === next,
    )
    await join(bob, next)
    await membership(alice, next, bob.userId, 'join')
  })
})
