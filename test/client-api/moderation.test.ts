/** What administrators do to accounts, and what restricted accounts can do. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, createApiClient, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createLoopback } from '../kit/loopback.ts'
import { createTestNode, type TestNode } from '../kit/node.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'

const PASSWORD = 'correct horse battery'

let node: TestNode
let alice: ApiClient
let bob: ApiClient
let roomId: string
let said: string

const clientOf = (answer: JsonObject): ApiClient =>
  createApiClient(node.clientApi, {
    userId: node.userId(text(answer, 'user_id').slice(1).split(':', 1)[0] ?? ''),
    accessToken: text(answer, 'access_token'),
  })
const nobody = (): ApiClient =>
  createApiClient(node.clientApi, { userId: node.userId('nobody'), accessToken: undefined })
const register = async (username: string): Promise<ApiClient> => {
  const body = { auth: { type: 'm.login.dummy' }, username, password: PASSWORD }
  return clientOf(await nobody().ok('POST', 'v3/register', { body }))
}
const login = (user: string, password = PASSWORD) =>
  nobody().ask('POST', 'v3/login', { body: { type: 'm.login.password', user, password } })
const say = (client: ApiClient, id: string, body: string) =>
  client.ask('PUT', at`v3/rooms/${id}/send/m.room.message/${body}`, { body: { msgtype: 'm.text', body } })

beforeEach(async () => {
  const clock = createVirtualClock()
  const users = { admins: ['alice'] }
  node = await createTestNode({ loopback: createLoopback({ clock }), clock, seed: 1, users })
  alice = await register('alice')
  bob = await register('bob')
  roomId = text(await alice.ok('POST', 'v3/createRoom', { body: { preset: 'public_chat' } }), 'room_id')
  await bob.ok('POST', at`v3/join/${roomId}`, { body: {} })
  said = text((await say(bob, roomId, 'hello')).body, 'event_id')
})
afterEach(() => node.close())

const lock = (locked: boolean): Promise<JsonObject> =>
  alice.ok('PUT', at`v1/admin/lock/${bob.userId}`, { body: { locked } })
const suspend = (suspended: boolean): Promise<JsonObject> =>
  alice.ok('PUT', at`v1/admin/suspend/${bob.userId}`, { body: { suspended } })

describe('a locked account', () => {
  it('can do nothing but log out, until it is unlocked', async () => {
    expect(await lock(true)).toEqual({ locked: true })
    expect(await alice.ok('GET', at`v1/admin/lock/${bob.userId}`)).toEqual({ locked: true })
    for (const [method, path] of [
      ['GET', 'v3/sync'],
      ['GET', 'v3/account/whoami'],
      ['GET', 'v3/devices'],
    ] as const) {
      const { status, body } = await bob.ask(method, path)
      expect([status, body]).toMatchObject([401, { errcode: 'M_USER_LOCKED', soft_logout: true }])
    }
    // Only who has the password learns of it.
    expect((await login('bob')).body).toMatchObject({ errcode: 'M_USER_LOCKED' })
    expect((await login('bob', 'wrong')).body).toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect(await lock(false)).toEqual({ locked: false })
    expect((await bob.ask('GET', 'v3/account/whoami')).status).toBe(200)
    await lock(true)
    expect(await bob.ok('POST', 'v3/logout')).toEqual({})
    expect((await bob.ask('GET', 'v3/account/whoami')).body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' })
  })

  it('stays locked over a restart', async () => {
    await lock(true)
    const token = (await alice.ask('GET', 'v3/account/whoami')).status
    expect(token).toBe(200)
    node = await node.restart()
    expect((await login('bob')).body).toMatchObject({ errcode: 'M_USER_LOCKED' })
  })
})

describe('a suspended account', () => {
  it('reads, leaves and takes back what it said, and does nothing else to others', async () => {
    const other = text(
      await alice.ok('POST', 'v3/createRoom', { body: { preset: 'public_chat' } }),
      'room_id',
    )
    const byAlice = text((await say(alice, roomId, 'hi')).body, 'event_id')
    expect(await suspend(true)).toEqual({ suspended: true })
    expect(await alice.ok('GET', at`v1/admin/suspend/${bob.userId}`)).toEqual({ suspended: true })
    const refused: readonly (readonly [string, string, JsonObject])[] = [
      ['POST', at`v3/join/${other}`, {}],
      ['POST', at`v3/rooms/${other}/join`, {}],
      ['POST', at`v3/knock/${other}`, {}],
      ['POST', at`v3/rooms/${roomId}/invite`, { user_id: alice.userId }],
      ['POST', at`v3/rooms/${roomId}/kick`, { user_id: alice.userId }],
      ['POST', 'v3/createRoom', {}],
      ['PUT', at`v3/rooms/${roomId}/send/m.room.message/2`, { msgtype: 'm.text', body: 'x' }],
      ['PUT', at`v3/rooms/${roomId}/state/m.room.topic`, { topic: 'x' }],
      ['PUT', at`v3/rooms/${roomId}/redact/${byAlice}/3`, {}],
      ['PUT', at`v3/profile/${bob.userId}/displayname`, { displayname: 'x' }],
    ]
    for (const [method, path, body] of refused)
      expect([path, ...(await bob.fails(method, path, { body }))]).toEqual([path, 403, 'M_USER_SUSPENDED'])
    expect((await login('bob')).status).toBe(200)
    const sync = await bob.ok('GET', 'v3/sync')
    expect(pick(sync, 'rooms', 'join', roomId)).toBeDefined()
    await bob.ok('PUT', at`v3/rooms/${roomId}/redact/${said}/4`, { body: {} })
    await bob.ok('POST', at`v3/rooms/${roomId}/leave`, { body: {} })
    await suspend(false)
    await bob.ok('POST', at`v3/join/${roomId}`, { body: {} })
  })
})

describe('administration', () => {
  it('is for administrators, who learn only then whether there is an account', async () => {
    for (const userId of [alice.userId, node.userId('nobody'), '@x:elsewhere.example']) {
      for (const what of ['lock', 'suspend']) {
        const path = at`v1/admin/${what}/${userId}`
        expect(await bob.fails('GET', path)).toEqual([403, 'M_FORBIDDEN'])
        const body = { locked: true, suspended: true }
        expect(await bob.fails('PUT', path, { body })).toEqual([403, 'M_FORBIDDEN'])
      }
      expect(await bob.fails('GET', at`v3/admin/whois/${userId}`)).toEqual([403, 'M_FORBIDDEN'])
    }
    const path = (userId: string): string => at`v1/admin/lock/${userId}`
    expect(await alice.fails('GET', path(node.userId('nobody')))).toEqual([404, 'M_NOT_FOUND'])
    expect(await alice.fails('GET', path('@x:elsewhere.example'))).toEqual([400, 'M_INVALID_PARAM'])
    // Administrators cannot shut each other out.
    expect(await alice.fails('PUT', path(alice.userId), { body: { locked: true } })).toEqual([
      403,
      'M_FORBIDDEN',
    ])
    expect((await alice.fails('PUT', path(bob.userId), { body: { locked: 'yes' } }))[0]).toBe(400)
  })

  it('sees the sessions of an account, as its user does', async () => {
    for (const client of [alice, bob]) {
      const answer = await client.ok('GET', at`v3/admin/whois/${bob.userId}`)
      expect(answer['user_id']).toBe(bob.userId)
      const [session] = Object.values(answer['devices'] as JsonObject)
      expect(session).toMatchObject({
        sessions: [{ connections: [{ last_seen: expect.any(Number) as number }] }],
      })
    }
    expect(await alice.fails('GET', at`v3/admin/whois/${node.userId('nobody')}`)).toEqual([
      404,
      'M_NOT_FOUND',
    ])
  })
})
