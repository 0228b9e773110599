/** What clients see of a room that their node entered without its members, before and after these are known. */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createRoom, joinFrom, say } from '../kit/rooms.ts'

/** Enough for a room that is told without its members. */
const CROWD = 60
const LAZY = JSON.stringify({ room: { state: { lazy_load_members: true } } })

describe('a room that was entered without its members', { timeout: 60_000 }, () => {
  let network: TestNetwork
  let alice: ApiClient
  let bob: ApiClient
  let carol: ApiClient
  let roomId: string

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob', 'carol'])
    const [first, second, third] = network.members as [Member, Member, Member]
    alice = await clientOf(first)
    bob = await clientOf(second)
    carol = await clientOf(third)
    roomId = await createRoom(alice, {
      preset: 'public_chat',
      power_level_content_override: { invite: 0 },
    })
    for (let index = 0; index < CROWD; index += 1) {
      const user = `@crowd${index}:${first.node.name}` as UserId
      await first.node.engine.rooms.join(user, roomId as RoomId, { via: [] })
    }
    await joinFrom(network, carol, alice, roomId)
    await say(carol, roomId, 'before')
    await network.settle()
  })
  afterEach(() => network.close())

  /** Until this is called nobody is told a state. */
  const withhold = (): (() => void) => {
    network.loopback.decideFate(({ uri }) => (uri.includes('/v1/state') ? { lose: 'request' } : {}))
    return () => network.loopback.decideFate(() => ({}))
  }
  const roomOf = (answer: JsonObject): JsonObject =>
    (pick(answer, 'rooms', 'join', roomId) ?? {}) as JsonObject
  const membersIn = (room: JsonObject): unknown[] =>
    [...list(room, 'state', 'events'), ...list(room, 'timeline', 'events')]
      .filter(({ type }) => type === 'm.room.member')
      .map(({ state_key: user }) => user)
  const sync = (query: Record<string, string> = {}): Promise<JsonObject> =>
    bob.ok('GET', 'v3/sync', { query })

  it('is shown at once, with its state and its timeline', async () => {
    withhold()
    await joinFrom(network, bob, alice, roomId)
    await say(bob, roomId, 'hello')
    await say(carol, roomId, 'welcome')
    await network.settle()
    const room = roomOf(await sync({ filter: LAZY }))
    const events = list(room, 'timeline', 'events')
    expect(events.map((event) => pick(event, 'content', 'body') ?? event['type'])).toEqual([
      'm.room.member',
      'hello',
      'welcome',
    ])
    const types = list(room, 'state', 'events').map(({ type }) => type)
    expect(types).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.power_levels', 'm.room.join_rules']),
    )
    // Who speaks is known.
    expect(membersIn(room)).toEqual(expect.arrayContaining([bob.userId, carol.userId]))
    const sliding = await bob.ok('POST', 'v4/sync', {
      body: { lists: { all: { range: [0, 9], timeline_limit: 5, required_state: {} } } },
    })
    expect(list(pick(sliding, 'rooms', roomId), 'timeline')).toHaveLength(3)
  })

  it('brings the members once they are known, to clients that want them all', async () => {
    const tell = withhold()
    await joinFrom(network, bob, alice, roomId)
    const [all, lazy] = [await sync(), await sync({ filter: LAZY })]
    expect(membersIn(roomOf(all)).length).toBeLessThan(10)
    tell()
    await network.pass(60_000)
    const next = roomOf(await sync({ since: text(all, 'next_batch') }))
    expect(new Set([...membersIn(roomOf(all)), ...membersIn(next)]).size).toBe(CROWD + 3)
    expect(pick(next, 'summary', 'm.joined_member_count')).toBe(CROWD + 3)
    const lazily = await sync({ since: text(lazy, 'next_batch'), filter: LAZY })
    expect(pick(roomOf(lazily), 'summary', 'm.joined_member_count')).toBe(CROWD + 3)
  })

  it('makes who asks for its members wait for them', async () => {
    const tell = withhold()
    await joinFrom(network, bob, alice, roomId)
    const path = at`v3/rooms/${roomId}/members`
    const answers = Promise.all([
      bob.ok('GET', path),
      bob.ok('GET', at`v3/rooms/${roomId}/joined_members`),
      bob.ok(
        'GET',
        at`v3/rooms/${roomId}/state/m.room.member/${`@crowd7:${network.members[0]?.node.name ?? ''}`}`,
      ),
    ])
    await network.pass(3_000)
    tell()
    await network.pass(20_000)
    const [members, joined, one] = await answers
    expect(list(members, 'chunk')).toHaveLength(CROWD + 3)
    expect(Object.keys(pick(joined, 'joined') as JsonObject)).toHaveLength(CROWD + 3)
    expect(one['membership']).toBe('join')
  })

  it('says so when its members cannot be had in time', async () => {
    withhold()
    await joinFrom(network, bob, alice, roomId)
    const answer = bob.fails('GET', at`v3/rooms/${roomId}/members`)
    await network.pass(30_000)
    expect(await answer).toEqual([503, 'M_UNABLE_DUE_TO_PARTIAL_STATE'])
    // What is known needs no waiting.
    await bob.ok('GET', at`v3/rooms/${roomId}/state/m.room.join_rules/`)
    await bob.ok('GET', at`v3/rooms/${roomId}/state/m.room.member/${bob.userId}`)
    // Who may not look is told at once.
    expect(await bob.fails('GET', at`v3/rooms/${'!elsewhere:example.org'}/members`)).toEqual([
      403,
      'M_FORBIDDEN',
    ])
  })

  it('exchanges device lists with members that become known', async () => {
    const tell = withhold()
    await joinFrom(network, bob, alice, roomId)
    const before = await sync()
    tell()
    await network.pass(60_000)
    const { device_lists: lists } = await sync({ since: text(before, 'next_batch') })
    const changed = pick(lists, 'changed') as string[]
    expect(changed.filter((user) => user.startsWith('@crowd')).length).toBeGreaterThan(CROWD - 10)
    const told = network.loopback.log.filter(
      ({ from, to, enveloped }) =>
        from === network.members[1]?.node.name &&
        to === network.members[2]?.node.name &&
        JSON.stringify(enveloped.request).includes('m.device_list_update'),
    )
    expect(told.length).toBeGreaterThan(0)
  })

  it('lets its users be invited, kicked and banned meanwhile', async () => {
    withhold()
    await joinFrom(network, bob, alice, roomId)
    await bob.ok('POST', at`v3/rooms/${roomId}/invite`, {
      body: { user_id: '@new:' + (network.members[2]?.node.name ?? '') },
    })
    const before = await sync()
    await alice.ok('POST', at`v3/rooms/${roomId}/kick`, { body: { user_id: bob.userId } })
    await network.settle()
    const left = await sync({ since: text(before, 'next_batch') })
    expect(pick(left, 'rooms', 'leave', roomId)).toBeDefined()
    await joinFrom(network, bob, alice, roomId)
    await alice.ok('POST', at`v3/rooms/${roomId}/ban`, { body: { user_id: bob.userId } })
    await network.settle()
    expect(pick(await sync(), 'rooms', 'join', roomId)).toBeUndefined()
    expect(await bob.fails('PUT', at`v3/rooms/${roomId}/send/m.room.message/t`, { body: {} })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
  })
})
