/** What one client can make a node do at once, and that nothing is lost where a bound cuts. */
import { serverOf, type JsonObject, type RoomAlias, type RoomId, type UserId } from '@plexus/core'
import { parseSyncFilter, parseSyncToken, NO_SYNC_FILTER } from '@plexus/engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createRoom, sharedRoom } from '../kit/rooms.ts'

const MINUTE = 60_000

let network: TestNetwork
let alice: ApiClient
let bob: ApiClient
let home: Member

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  const [first, second] = network.members
  if (first === undefined || second === undefined) throw new Error('two members')
  home = first
  alice = await clientOf(first)
  bob = await clientOf(second)
})

afterEach(() => network.close())

/** Past the rate limits, which stand at the endpoints. */
async function send(roomId: string, count: number, content: JsonObject = {}): Promise<void> {
  const { rooms } = home.node.engine
  for (let index = 0; index < count; index += 1) {
    const body = { msgtype: 'm.text', body: `m${index}`, ...content }
    await rooms.send(roomId as RoomId, { type: 'm.room.message', sender: home.user, content: body })
  }
}

describe('bounds', { timeout: MINUTE }, () => {
  it('to-device messages come a hundred at a time, and all of them once', async () => {
    const { toDevice } = home.node.engine.users
    const caller = { userId: alice.userId, deviceId: home.deviceId }
    for (let index = 0; index < 230; index += 1) {
      await toDevice.send(caller, 'm.test', `t${index}`, { [alice.userId]: { [home.deviceId]: { index } } })
    }
    const seen: unknown[] = []
    let since: Record<string, string> = {}
    for (let round = 0; round < 4; round += 1) {
      const answer = await alice.ok('GET', 'v3/sync', { query: since })
      const events = list(answer, 'to_device', 'events')
      expect(events.length).toBeLessThanOrEqual(110)
      seen.push(...events.map((event) => pick(event, 'content', 'index')))
      since = { since: text(answer, 'next_batch') }
    }
    expect(seen).toEqual(Array.from({ length: 230 }, (_, index) => index))
  })

  it('a filter that lets nothing through ends after two thousand events, with a token to go on', async () => {
    const roomId = await createRoom(alice)
    const found = await alice.ok('PUT', at`v3/rooms/${roomId}/send/org.rare/1`, { body: {} })
    await send(roomId, 2_100)
    const filter = JSON.stringify({ room: { timeline: { types: ['org.rare'] } } })
    const room = pick(await alice.ok('GET', 'v3/sync', { query: { filter } }), 'rooms', 'join', roomId)
    expect(pick(room, 'timeline', 'events')).toEqual([])
    expect(pick(room, 'timeline', 'limited')).toBe(true)
    const query = { dir: 'b', filter: '{"types":["org.rare"]}', from: text(room, 'timeline', 'prev_batch') }
    const page = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, { query })
    expect(list(page, 'chunk').map((event) => event['event_id'])).toEqual([found['event_id']])
    const whole = await alice.ok('GET', at`v3/rooms/${roomId}/messages`, {
      query: { dir: 'b', filter: '{"types":["org.none"]}' },
    })
    expect(whole['chunk']).toEqual([])
    expect(whole['end']).toMatch(/^t/)
  })

  it('unread counts end at 250', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await send(roomId, 300)
    await network.settle()
    const answer = await bob.ok('GET', 'v3/sync')
    expect(pick(answer, 'rooms', 'join', roomId, 'unread_notifications', 'notification_count')).toBe(250)
  })

  it('bundles look at the newest five hundred related events', async () => {
    const roomId = await createRoom(alice)
    const root = text(
      await alice.ok('PUT', at`v3/rooms/${roomId}/send/m.room.message/root`, { body: {} }),
      'event_id',
    )
    await send(roomId, 510, { 'm.relates_to': { rel_type: 'm.thread', event_id: root } })
    const event = await alice.ok('GET', at`v3/rooms/${roomId}/event/${root}`)
    expect(pick(event, 'unsigned', 'm.relations', 'm.thread', 'count')).toBe(500)
    expect(pick(event, 'unsigned', 'm.relations', 'm.thread', 'latest_event', 'content', 'body')).toBe('m509')
  })

  it('five hundred long polls wait, fifty of each user, the next is answered at once', async () => {
    const { sync, polls: waits } = home.node.engine
    const since = parseSyncToken(text(await alice.ok('GET', 'v3/sync'), 'next_batch'))
    if (since === undefined) throw new Error('a token')
    const request = {
      recipient: { userId: alice.userId, deviceId: home.deviceId },
      since,
      filter: parseSyncFilter({}) ?? NO_SYNC_FILTER,
      fullState: false,
      stateKind: 'state',
      timeoutMs: 1_000_000_000,
    } as const
    const ofUser = (name: string) => ({
      ...request,
      recipient: { userId: `@${name}:${serverOf(alice.userId)}` as UserId, deviceId: 'D' },
    })
    const polls = Array.from({ length: 50 }, () => sync.sync(request))
    await network.settle()
    await sync.sync(request)
    expect(waits.waiting).toBe(50)
    for (let index = 0; index < 450; index += 1) polls.push(sync.sync(ofUser(`u${index % 9}`)))
    await network.settle()
    expect(waits.waiting).toBe(500)
    await sync.sync(ofUser('late'))
    expect(waits.waiting).toBe(500)
    // However long a client asks for, it is two minutes.
    await network.clock.advance(120_000)
    await Promise.all(polls)
    expect(waits.waiting).toBe(0)
  })

  it('a user holds a thousand aliases, a request invites a hundred people', async () => {
    const roomId = (await createRoom(alice)) as RoomId
    const { roomDirectory, serverName } = home.node.engine
    for (let index = 0; index < 1_000; index += 1) {
      await roomDirectory.create(`#a${index}:${serverName}` as RoomAlias, roomId, alice.userId)
    }
    expect(
      await alice.fails('PUT', at`v3/directory/room/${`#more:${serverName}`}`, { body: { room_id: roomId } }),
    ).toEqual([429, 'M_LIMIT_EXCEEDED'])
    const invite = Array.from({ length: 101 }, (_, index) => `@u${index}:x.y`)
    expect(await alice.fails('POST', 'v3/createRoom', { body: { invite } })).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('push rules are a thousand of a kind at most', async () => {
    const { pushRules } = home.node.engine.users
    const put = (index: number): Promise<void> =>
      pushRules.put(home.user, 'room', `!${index}:x`, { actions: [] })
    for (let index = 0; index < 1_000; index += 1) await put(index)
    await expect(put(1_000)).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    await put(7)
  })

  it('an OpenID token is good for an hour', async () => {
    const { openId } = home.node.engine.users
    const { token } = openId.create(home.user)
    expect(openId.userOf(token)).toBe(home.user)
    await network.clock.advance(3_600_000)
    expect(openId.userOf(token)).toBeUndefined()
  })
})
