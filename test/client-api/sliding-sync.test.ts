/** POST /v4/sync and its unstable name: windows, connections, positions. spec: proposals/4186-simplified-sliding-sync.md */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork } from '../kit/node.ts'
import { createRoom, say, sharedRoom } from '../kit/rooms.ts'
import { ALL, NONE, PATH, ask, bodies, next, of, room, roomsOf, stateTypes } from './sliding-sync-kit.ts'

const MAX_CONNECTIONS = 10

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

  it('shows what came while there was no timeline', async () => {
    const roomId = await createRoom(alice)
    const first = await ask(alice, of(NONE))
    await say(alice, roomId, 'unseen')
    const second = await next(alice, first, of({ ...NONE, timeline_limit: 0 }))
    const third = await next(alice, second, of(NONE))
    expect(bodies(third, roomId)).toContain('unseen')
    expect(room(third, roomId)).toMatchObject({ expanded_timeline: true })
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
