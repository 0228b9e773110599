/** What is refused, and how, where there is nothing to read; visibility-matrix.test.ts has who reads what. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork } from '../kit/node.ts'
import { createRoom, joinFrom, say } from '../kit/rooms.ts'

let network: TestNetwork
let alice: ApiClient
let bob: ApiClient

beforeEach(async () => {
  network = await createTestNetwork(['alice'])
  const [member] = network.members
  if (member === undefined) throw new Error('a member')
  alice = await clientOf(member)
  // On the same node, so that the node holds all of the history.
  const user = await member.node.engine.users.accounts.register({ localpart: 'bob' })
  bob = await clientOf({ node: member.node, user, deviceId: 'BOB' })
})

afterEach(() => network.close())

const roomWith = (visibility: string): Promise<string> =>
  createRoom(alice, {
    initial_state: [
      { type: 'm.room.history_visibility', content: { history_visibility: visibility } },
      { type: 'm.room.join_rules', content: { join_rule: 'public' } },
    ],
  })

const invite = (roomId: string): Promise<JsonObject> =>
  alice.ok('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: bob.userId } })
const leave = (roomId: string): Promise<JsonObject> =>
  bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
describe('without having been in a room', () => {
  it.each(['state', 'state/m.room.name', 'members', 'messages?dir=b', 'aliases', 'joined_members'])(
    '%s is refused, for a world-readable room it is not',
    async (path) => {
      const closed = await roomWith('shared')
      expect(await bob.fails('GET', `${at`v3/rooms/${closed}`}/${path}`)).toEqual([403, 'M_FORBIDDEN'])
      await invite(closed)
      const invited = await bob.ask('GET', `${at`v3/rooms/${closed}`}/${path}`)
      if (path.startsWith('messages')) expect(list(invited.body, 'chunk')).toEqual([])
      else expect(invited.status).toBe(403)
    },
  )

  it('a world-readable one can be looked at', async () => {
    await network.clock.advance(1)
    const open = await roomWith('world_readable')
    const eventId = await say(alice, open, 'hello')
    expect(list((await bob.ask('GET', at`v3/rooms/${open}/state`)).body).length).toBeGreaterThan(3)
    expect(
      pick(await bob.ok('GET', at`v3/rooms/${open}/context/${eventId}`), 'event', 'content', 'body'),
    ).toBe('hello')
    expect(await bob.fails('GET', at`v3/rooms/${open}/joined_members`)).toEqual([403, 'M_FORBIDDEN'])
  })
})

describe('after leaving', () => {
  it('the state is that of the leaving, and later events stay hidden from every endpoint', async () => {
    const roomId = await roomWith('shared')
    await joinFrom(network, bob, alice, roomId)
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name: 'Then' } })
    const seen = await say(alice, roomId, 'seen')
    await leave(roomId)
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.name`, { body: { name: 'Now' } })
    const later = await say(alice, roomId, 'later')
    expect(await bob.ok('GET', at`v3/rooms/${roomId}/state/m.room.name`)).toEqual({ name: 'Then' })
    const context = await bob.ok('GET', at`v3/rooms/${roomId}/context/${seen}`)
    expect(list(context, 'events_after').map((event) => event['event_id'])).not.toContain(later)
    expect(await bob.fails('GET', at`v3/rooms/${roomId}/context/${later}`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await bob.fails('GET', at`v1/rooms/${roomId}/relations/${later}`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await bob.fails('PUT', at`v3/rooms/${roomId}/send/m.room.message/1`, { body: {} })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
    const sync = await bob.ok('GET', 'v3/sync', { query: { filter: '{"room":{"include_leave":true}}' } })
    const bodies = list(sync, 'rooms', 'leave', roomId, 'timeline', 'events').map((event) =>
      pick(event, 'content', 'body'),
    )
    expect(bodies).toContain('seen')
    expect(bodies).not.toContain('later')
    expect(JSON.stringify(sync)).not.toContain('Now')
  })
})
