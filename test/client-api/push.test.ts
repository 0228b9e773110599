/** What push gateways are told. spec: push-gateway-api.md, client-server-api/modules/push.md */
import type { JsonObject } from '@plexus/core'
import type { PushGateway } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createRoom, say, sharedRoom } from '../kit/rooms.ts'

const URL = 'https://push.example.org/_matrix/push/v1/notify'
const SLOW_URL = 'https://slow.example.org/_matrix/push/v1/notify'
const SECOND = 1_000
const DAY = 86_400 * SECOND

type Call = { readonly url: string; readonly notification: JsonObject }

let network: TestNetwork
let phone: Member
let alice: ApiClient
let bob: ApiClient
let calls: Call[]
/** What the gateway does with the next calls; then it takes them. */
let failures: (number | Error)[]
let rejected: readonly string[]

let release: () => void
let released: Promise<void>

const gateway: PushGateway = {
  async notify(url, body) {
    if (url === SLOW_URL) await released
    calls.push({ url, notification: body['notification'] as JsonObject })
    const failure = failures.shift()
    if (failure instanceof Error) return Promise.reject(failure)
    return Promise.resolve({ status: failure ?? 200, rejected: failure === undefined ? rejected : [] })
  },
}

beforeEach(async () => {
  calls = []
  failures = []
  rejected = []
  ;({ promise: released, resolve: release } = Promise.withResolvers<void>())
  network = await createTestNetwork(['alice', 'bob'], 1, { pushGateway: gateway })
  const [first, second] = network.members
  if (first === undefined || second === undefined) throw new Error('two members')
  phone = second
  alice = await clientOf(first)
  bob = await clientOf(second)
})
afterEach(() => network.close())

const pusher = (more: JsonObject = {}, data: JsonObject = {}): JsonObject => ({
  app_id: 'org.test',
  pushkey: 'key',
  kind: 'http',
  app_display_name: 'Test',
  device_display_name: 'Phone',
  lang: 'en',
  data: { url: URL, ...data },
  ...more,
})
const set = (client: ApiClient, body: JsonObject): Promise<JsonObject> =>
  client.ok('POST', 'v3/pushers/set', { body })
const told = (): readonly unknown[] =>
  calls.flatMap(({ notification }) => pick(notification, 'content', 'body') ?? [])

describe('a push gateway', () => {
  it('is told what happened, to whom and where', async () => {
    await alice.ok('PUT', at`v3/profile/${alice.userId}/displayname`, { body: { displayname: 'Alice' } })
    const roomId = await sharedRoom(network, alice, bob, { name: 'Kitchen' })
    await set(bob, pusher({}, { brand: 'x' }))
    await say(alice, roomId, 'dinner')
    await network.settle()
    expect(calls).toEqual([
      {
        url: URL,
        notification: {
          event_id: expect.any(String) as string,
          room_id: roomId,
          type: 'm.room.message',
          sender: alice.userId,
          content: { msgtype: 'm.text', body: 'dinner' },
          room_name: 'Kitchen',
          sender_display_name: 'Alice',
          counts: { unread: 1 },
          prio: 'high',
          devices: [
            {
              app_id: 'org.test',
              pushkey: 'key',
              pushkey_ts: expect.any(Number) as number,
              data: { brand: 'x' },
              tweaks: { sound: 'default' },
            },
          ],
        },
      },
    ])
  })

  it('that wants ids alone gets no more', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await set(bob, pusher({}, { format: 'event_id_only' }))
    await say(alice, roomId, 'secret')
    await network.settle()
    expect(JSON.stringify(calls)).not.toContain('secret')
    expect(calls[0]?.notification).toMatchObject({ room_id: roomId, counts: { unread: 1 } })
  })

  it('is not told what the rules are silent about, what was before, or what the user did', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await say(alice, roomId, 'before')
    await network.settle()
    await set(bob, pusher())
    await say(bob, roomId, 'mine')
    await alice.ok('PUT', at`v3/rooms/${roomId}/send/m.room.message/n`, {
      body: { msgtype: 'm.notice', body: 'notice' },
    })
    await alice.ok('PUT', at`v3/rooms/${roomId}/typing/${alice.userId}`, {
      body: { typing: true, timeout: 9_000 },
    })
    await network.settle()
    expect(told()).toEqual([])
  })

  it('is told of an invite', async () => {
    await set(bob, pusher())
    const roomId = await createRoom(alice)
    await alice.ok('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: bob.userId } })
    await network.settle()
    expect(calls.map(({ notification }) => notification)).toMatchObject([
      { type: 'm.room.member', room_id: roomId, sender: alice.userId, user_is_target: true },
    ])
  })

  it('gets everything in order, once it is back', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await set(bob, pusher())
    failures = [503, new Error('nobody there')]
    await say(alice, roomId, 'one')
    await say(alice, roomId, 'two')
    await network.settle()
    expect(told()).toEqual(['one'])
    await network.pass(20 * SECOND)
    expect(told()).toEqual(['one', 'one', 'one', 'two'])
  })

  it('hears at last of what came while the node was down, but not of what was read or is old', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await set(bob, pusher())
    failures = Array.from({ length: 200 }, () => 500)
    await say(alice, roomId, 'too old')
    await network.settle()
    await network.clock.advance(DAY)
    const read = await say(alice, roomId, 'read')
    await say(alice, roomId, 'new')
    await network.settle()
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${read}`, { body: {} })
    phone = await network.restart(phone)
    calls = []
    failures = []
    await network.settle()
    await network.pass(SECOND)
    expect(told()).toEqual(['new'])
    // What the gateway has is not told again after another restart.
    calls = []
    phone = await network.restart(phone)
    await network.settle()
    expect(told()).toEqual([])
  })

  it('hears when the number of unread messages falls', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await set(bob, pusher())
    const eventId = await say(alice, roomId, 'one')
    await network.settle()
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${eventId}`, { body: {} })
    await network.settle()
    expect(calls.at(-1)?.notification).toEqual({
      counts: {},
      prio: 'low',
      devices: [expect.objectContaining({ pushkey: 'key' })],
    })
    expect(calls).toHaveLength(2)
  })

  it('that is slow keeps nobody waiting but its own pusher', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await set(bob, pusher())
    await set(bob, pusher({ pushkey: 'slow' }, { url: SLOW_URL }))
    await say(alice, roomId, 'one')
    await network.pass(SECOND)
    await say(alice, roomId, 'two')
    await network.pass(SECOND)
    expect(told()).toEqual(['one', 'two'])
    release()
    await network.settle()
    expect(told()).toHaveLength(4)
  })

  it('is left alone, and brought back by nothing, once its pusher is removed while it answers', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await set(bob, pusher({ pushkey: 'slow' }, { url: SLOW_URL }))
    for (const body of ['one', 'two']) await say(alice, roomId, body)
    await network.pass(SECOND)
    await set(bob, { app_id: 'org.test', pushkey: 'slow', kind: null })
    release()
    await network.settle()
    await say(alice, roomId, 'three')
    await network.settle()
    expect(told()).toEqual(['one'])
    expect(await bob.ok('GET', 'v3/pushers')).toEqual({ pushers: [] })
  })

  it('that takes a key no more is not asked again', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await set(bob, pusher())
    await set(bob, pusher({ pushkey: 'other' }))
    rejected = ['key']
    await say(alice, roomId, 'one')
    await network.settle()
    expect(list(await bob.ok('GET', 'v3/pushers'), 'pushers').map(({ pushkey }) => pushkey)).toEqual([
      'other',
    ])
    calls = []
    await say(alice, roomId, 'two')
    await network.settle()
    expect(calls.map(({ notification }) => pick(notification, 'devices', 0, 'pushkey'))).toEqual(['other'])
  })

  it('is forgotten with its device', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await set(bob, pusher())
    await phone.node.engine.users.devices.delete(bob.userId, [phone.deviceId])
    await say(alice, roomId, 'one')
    await network.settle()
    expect(calls).toEqual([])
  })

  it('is not told what ignored users say', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await bob.ok('PUT', at`v3/user/${bob.userId}/account_data/m.ignored_user_list`, {
      body: { ignored_users: { [alice.userId]: {} } },
    })
    await set(bob, pusher())
    await say(alice, roomId, 'one')
    await network.settle()
    expect(calls).toEqual([])
  })
})

describe('a pusher', () => {
  it('belongs to one user of a phone, unless both are wanted', async () => {
    const { userId, deviceId } = await phone.node.signUp('carol')
    const carol = await clientOf({ node: phone.node, user: userId, deviceId })
    const count = async (client: ApiClient): Promise<number> =>
      list(await client.ok('GET', 'v3/pushers'), 'pushers').length
    await set(bob, pusher())
    await set(carol, pusher({ append: true }))
    expect([await count(bob), await count(carol)]).toEqual([1, 1])
    await set(carol, pusher({ append: false }))
    expect([await count(bob), await count(carol)]).toEqual([0, 1])
  })

  it.each<[string, JsonObject]>([
    ['by mail', { kind: 'email' }],
    ['without an address', { data: {} }],
    ['to another path', { data: { url: 'https://push.example.org/other' } }],
    ['without TLS', { data: { url: 'http://push.example.org/_matrix/push/v1/notify' } }],
    ['with a password', { data: { url: 'https://a:b@push.example.org/_matrix/push/v1/notify' } }],
    ['with a query', { data: { url: `${URL}?a` } }],
  ])('%s is refused', async (_, more) => {
    expect(await bob.fails('POST', 'v3/pushers/set', { body: pusher(more) })).toEqual([
      400,
      'M_INVALID_PARAM',
    ])
    expect(await bob.ok('GET', 'v3/pushers')).toEqual({ pushers: [] })
  })
})
