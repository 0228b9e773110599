/** Who reads what through the API. spec: client-server-api/modules/history_visibility.md */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
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
const setVisibility = (roomId: string, visibility: string): Promise<JsonObject> =>
  alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.history_visibility`, {
    body: { history_visibility: visibility },
  })

/** What Bob reads of the room by paging back, and what he is refused by id. */
async function readable(roomId: string, events: Readonly<Record<string, string>>): Promise<string[]> {
  const page = await bob.ask('GET', at`v3/rooms/${roomId}/messages`, { query: { dir: 'b', limit: '100' } })
  const paged = new Set(list(page.body, 'chunk').map((event) => event['event_id']))
  const found: string[] = []
  for (const [name, eventId] of Object.entries(events)) {
    const { status } = await bob.ask('GET', at`v3/rooms/${roomId}/event/${eventId}`)
    expect([name, paged.has(eventId)]).toEqual([name, status === 200])
    if (status === 200) found.push(name)
  }
  return found
}

describe('a room whose history is', () => {
  it.each([
    ['world_readable', ['before', 'invited', 'joined', 'left']],
    ['shared', ['before', 'invited', 'joined']],
    ['invited', ['invited', 'joined']],
    ['joined', ['joined']],
  ])('%s shows %j', async (visibility, expected) => {
    const roomId = await roomWith(visibility)
    const events: Record<string, string> = {}
    events['before'] = await say(alice, roomId, 'before')
    expect(await readable(roomId, events)).toEqual(visibility === 'world_readable' ? ['before'] : [])
    await invite(roomId)
    events['invited'] = await say(alice, roomId, 'invited')
    await joinFrom(network, bob, alice, roomId)
    events['joined'] = await say(alice, roomId, 'joined')
    expect(await readable(roomId, events)).toEqual(expected.filter((name) => name !== 'left'))
    await leave(roomId)
    events['left'] = await say(alice, roomId, 'left')
    expect(await readable(roomId, events)).toEqual(expected)
  })

  it('shared shows what was missed while away once one is back', async () => {
    const roomId = await roomWith('shared')
    await joinFrom(network, bob, alice, roomId)
    await leave(roomId)
    const missed = await say(alice, roomId, 'missed')
    expect(await readable(roomId, { missed })).toEqual([])
    await joinFrom(network, bob, alice, roomId)
    expect(await readable(roomId, { missed })).toEqual(['missed'])
  })

  it('joined does not', async () => {
    const roomId = await roomWith('joined')
    await joinFrom(network, bob, alice, roomId)
    await leave(roomId)
    const missed = await say(alice, roomId, 'missed')
    await joinFrom(network, bob, alice, roomId)
    expect(await readable(roomId, { missed })).toEqual([])
  })

  it('changed keeps what was sent before under the old rule', async () => {
    const roomId = await roomWith('joined')
    const hidden = await say(alice, roomId, 'hidden')
    const change = text(await setVisibility(roomId, 'world_readable'), 'event_id')
    const open = await say(alice, roomId, 'open')
    const back = text(await setVisibility(roomId, 'joined'), 'event_id')
    const again = await say(alice, roomId, 'again')
    await joinFrom(network, bob, alice, roomId)
    // The changes themselves may be read if the rule before or after them allows it.
    expect(await readable(roomId, { hidden, change, open, back, again })).toEqual(['change', 'open', 'back'])
  })
})

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
