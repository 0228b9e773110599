/** GET /notifications: what the push rules said of the events that came. */
import type { JsonObject, RoomId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork } from '../kit/node.ts'
import { createRoom, say, sharedRoom, unreadIn } from '../kit/rooms.ts'

/** Named in `packages/engine/src/sync/notifications.ts`. */
const MAX_NOTIFICATION_SCAN = 250

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

const page = (query: Readonly<Record<string, string>> = {}): Promise<JsonObject> =>
  bob.ok('GET', 'v3/notifications', { query })
const texts = (answer: JsonObject): readonly unknown[] =>
  list(answer, 'notifications').map((one) => pick(one, 'event', 'content', 'body'))

/** All pages, as a client asks for them. */
async function all(query: Readonly<Record<string, string>>): Promise<readonly unknown[]> {
  const found: unknown[] = []
  let from: Readonly<Record<string, string>> = {}
  for (;;) {
    const answer = await page({ ...query, ...from })
    found.push(...texts(answer))
    if (answer['next_token'] === undefined) return found
    from = { from: text(answer, 'next_token') }
  }
}

describe('the notifications of a user', () => {
  it('are the events that their rules notify about, the newest first, page by page', async () => {
    const one = await sharedRoom(network, alice, bob)
    const two = await sharedRoom(network, alice, bob)
    const said: string[] = []
    for (let index = 0; index < 6; index += 1) {
      await say(alice, index % 2 === 0 ? one : two, `text ${index}`)
      await network.settle()
      said.unshift(`text ${index}`)
    }
    await say(bob, one, 'my own')
    await alice.ok('PUT', at`v3/rooms/${one}/send/m.room.message/quiet`, {
      body: { msgtype: 'm.notice', body: 'quiet' },
    })
    await network.settle()
    expect(texts(await page())).toEqual(said)
    expect(await all({ limit: '1' })).toEqual(said)
    expect(await all({ limit: '4' })).toEqual(said)
    const [newest] = list(await page({ limit: '1' }), 'notifications')
    expect(newest).toMatchObject({ room_id: two, read: false })
    // A room of two makes a sound.
    expect(pick(newest, 'actions')).toEqual(['notify', { set_tweak: 'sound', value: 'default' }])
    expect(pick(newest, 'event')).not.toHaveProperty('room_id')
  })

  it('say what was read, in which thread', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const root = await say(alice, roomId, 'root')
    const relation = { rel_type: 'm.thread', event_id: root }
    await alice.ok('PUT', at`v3/rooms/${roomId}/send/m.room.message/reply`, {
      body: { msgtype: 'm.text', body: 'reply', 'm.relates_to': relation },
    })
    await network.settle()
    const reads = async (): Promise<readonly unknown[]> =>
      list(await page(), 'notifications').map((one) => [pick(one, 'event', 'content', 'body'), one['read']])
    expect(await reads()).toEqual([
      ['reply', false],
      ['root', false],
    ])
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${root}`, { body: { thread_id: 'main' } })
    expect(await reads()).toEqual([
      ['reply', false],
      ['root', true],
    ])
  })

  it('can be highlights alone', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await say(alice, roomId, 'plain')
    await alice.ok('PUT', at`v3/rooms/${roomId}/send/m.room.message/mention`, {
      body: { msgtype: 'm.text', body: 'you', 'm.mentions': { user_ids: [bob.userId] } },
    })
    await network.settle()
    expect(texts(await page({ only: 'highlight' }))).toEqual(['you'])
    expect(texts(await page())).toEqual(['you', 'plain'])
  })

  it('stay, and stay unread, when the user changes their name', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await say(alice, roomId, 'one')
    await network.settle()
    const unread = (): Promise<unknown> => unreadIn(bob, roomId)
    expect(await unread()).toBe(1)
    await bob.ok('PUT', at`v3/profile/${bob.userId}/displayname`, { body: { displayname: 'Robert' } })
    await network.settle()
    expect(await unread()).toBe(1)
    expect(texts(await page())).toEqual(['one'])
    // Who comes in anew begins anew.
    await bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    await network.settle()
    await alice.ok('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: bob.userId } })
    await network.settle()
    await bob.ok('POST', at`v3/rooms/${roomId}/join`, { body: {} })
    await network.settle()
    expect(await unread()).toBe(0)
    expect(texts(await page())).toEqual([])
  })

  it('leave out what was before the user joined, rooms that were left, and who is ignored', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await say(alice, roomId, 'heard')
    await network.settle()
    expect(texts(await page())).toEqual(['heard'])
    await bob.ok('PUT', at`v3/user/${bob.userId}/account_data/m.ignored_user_list`, {
      body: { ignored_users: { [alice.userId]: {} } },
    })
    expect(texts(await page())).toEqual([])
    await bob.ok('PUT', at`v3/user/${bob.userId}/account_data/m.ignored_user_list`, {
      body: { ignored_users: {} },
    })
    await bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    expect(texts(await page())).toEqual([])
    const own = await createRoom(bob)
    await say(bob, own, 'alone')
    expect(texts(await page())).toEqual([])
  })

  it('are found page by page where most events notify nobody', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await say(alice, roomId, 'early')
    for (let index = 0; index < MAX_NOTIFICATION_SCAN + 10; index += 1) {
      await network.members[0]?.node.engine.rooms.send(roomId as RoomId, {
        type: 'm.room.message',
        sender: alice.userId,
        content: { msgtype: 'm.notice', body: 'quiet' },
      })
    }
    await network.settle()
    const answer = await page()
    expect(texts(answer)).toEqual([])
    expect(await all({})).toEqual(['early'])
  })

  it('are asked for with tokens of this server only', async () => {
    const refused = await bob.fails('GET', 'v3/notifications', { query: { from: 's1' } })
    expect(refused).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('are counted anew when the rules change', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await say(alice, roomId, 'one')
    await network.settle()
    const unread = (): Promise<unknown> => unreadIn(bob, roomId)
    expect(await unread()).toBe(1)
    const master = 'v3/pushrules/global/override/.m.rule.master/enabled'
    await bob.ok('PUT', master, { body: { enabled: true } })
    expect(await unread()).toBe(0)
    await bob.ok('PUT', master, { body: { enabled: false } })
    expect(await unread()).toBe(1)
  })

  it('follow rules whose conditions are of the kinds of the specification, or of unknown ones', async () => {
    const put = (id: string, condition: JsonObject) =>
      bob.ask('PUT', `v3/pushrules/global/override/${id}`, {
        body: { actions: ['notify'], conditions: [condition] },
      })
    expect((await put('own', { kind: 'org.example.mood', mood: ['good'] })).status).toBe(200)
    for (const wrong of [{}, { kind: 1 }, { kind: 'event_match', key: 5, pattern: 'x' }])
      expect(await put('wrong', wrong)).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    const rules = JSON.stringify(await bob.ok('GET', 'v3/pushrules/'))
    expect(rules).toContain('good')
    expect(rules).not.toContain('wrong')
  })
})
