/** Knocking on rooms of other servers. spec: server-server-api.md "Knocking upon a room" */
import type { JsonObject } from '@plexus/core'
import { MAX_WAITING_KNOCKS } from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, createApiClient, list, pick, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork, type TestNode } from '../kit/node.ts'
import { createRoom } from '../kit/rooms.ts'

describe('a knock on a room of another server', { timeout: 60_000 }, () => {
  let network: TestNetwork
  let home: TestNode
  let away: TestNode
  let alice: ApiClient
  let bob: ApiClient
  let room: string

  beforeEach(async () => {
    network = await createTestNetwork(['x', 'y'], 97)
    ;[home, away] = network.members.map(({ node }) => node) as [TestNode, TestNode]
    alice = createApiClient(home.clientApi, await home.signUp('alice'))
    bob = createApiClient(away.clientApi, await away.signUp('bob'))
    const rule = { type: 'm.room.join_rules', content: { join_rule: 'knock' } }
    room = await createRoom(alice, { name: 'Tea', initial_state: [rule] })
  })
  afterEach(() => network.close())

  const knock = (id = room) =>
    bob.ask('POST', at`v3/knock/${id}`, { query: { via: home.name }, body: { reason: 'please' } })
  const seen = async (client: ApiClient, ...path: readonly string[]) =>
    pick(await client.ok('GET', 'v3/sync'), 'rooms', ...path)
  const memberAt = async (user: ApiClient): Promise<JsonObject> =>
    (await alice.ask('GET', at`v3/rooms/${room}/state/m.room.member/${user.userId}`)).body

  it('is seen on both sides', async () => {
    expect((await knock()).status).toBe(200)
    expect(await memberAt(bob)).toMatchObject({ membership: 'knock', reason: 'please' })
    const state = list(await seen(bob, 'knock', room, 'knock_state'), 'events')
    expect(state.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.name', 'm.room.join_rules', 'm.room.member']),
    )
    const own = state.find((event) => event['state_key'] === bob.userId)
    expect(own).toMatchObject({ content: { membership: 'knock' } })
  })

  it('is answered by an invite', async () => {
    await knock()
    await alice.ok('POST', at`v3/rooms/${room}/invite`, { body: { user_id: bob.userId } })
    await network.settle()
    expect(await seen(bob, 'invite', room)).toBeDefined()
    expect(await seen(bob, 'knock', room)).toBeUndefined()
    await bob.ok('POST', at`v3/join/${room}`, { body: {} })
    await network.settle()
    expect(await memberAt(bob)).toMatchObject({ membership: 'join' })
  })

  it('is refused by who made the room, and its user hears by whom and why', async () => {
    await knock()
    const since = (await bob.ok('GET', 'v3/sync'))['next_batch'] as string
    await alice.ok('POST', at`v3/rooms/${room}/kick`, { body: { user_id: bob.userId, reason: 'full' } })
    await network.settle()
    const sync = await bob.ok('GET', 'v3/sync', { query: { since } })
    expect(list(pick(sync, 'rooms', 'leave', room, 'timeline'), 'events')).toMatchObject([
      { type: 'm.room.member', sender: alice.userId, content: { membership: 'leave', reason: 'full' } },
    ])
    expect(await seen(bob, 'knock', room)).toBeUndefined()
    expect((await knock()).status).toBe(200)
  })

  it('can be taken back', async () => {
    await knock()
    await bob.ok('POST', at`v3/rooms/${room}/leave`, { body: {} })
    await network.settle()
    expect(await memberAt(bob)).toMatchObject({ membership: 'leave' })
    expect(await seen(bob, 'knock', room)).toBeUndefined()
  })

  it('outlives a restart', async () => {
    await knock()
    const again = await away.restart()
    bob = createApiClient(again.clientApi, { userId: bob.userId, accessToken: undefined })
    const row = await again.engine.rooms.membership(bob.userId, room as never)
    expect(row).toMatchObject({ membership: 'knock', resident: home.name })
  })

  it('is one of so many that may wait for an answer', async () => {
    const initial = [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }]
    for (let count = 0; count < MAX_WAITING_KNOCKS; count += 1) {
      await network.clock.advance(1_000)
      const { status } = await knock(await createRoom(alice, { initial_state: initial }))
      expect(status).toBe(200)
    }
    expect(await knock()).toMatchObject({ status: 429, body: { errcode: 'M_LIMIT_EXCEEDED' } })
    expect((await memberAt(bob))['membership']).toBeUndefined()
  })

  it('is refused where one cannot knock', async () => {
    const closed = await createRoom(alice, {})
    expect(await knock(closed)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    await alice.ok('POST', at`v3/rooms/${room}/ban`, { body: { user_id: bob.userId } })
    expect(await knock()).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect((await knock(`!${'q'.repeat(43)}`)).status).toBe(404)
  })
})
