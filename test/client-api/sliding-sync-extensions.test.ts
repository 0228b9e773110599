/** What comes with POST /v4/sync beside rooms. spec: proposals/4186-simplified-sliding-sync.md */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deviceKeysOf, testKey } from '../engine/users-kit.ts'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createRoom, say, sharedRoom } from '../kit/rooms.ts'
import { NONE, ask, next, of } from './sliding-sync-kit.ts'

let network: TestNetwork
let home: Member
let alice: ApiClient
let bob: ApiClient

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  const [first, second] = network.members
  if (first === undefined || second === undefined) throw new Error('two members')
  home = first
  alice = await clientOf(first)
  bob = await clientOf(second)
})
afterEach(() => network.close())

describe('extensions of sliding sync', () => {
  const enabled = { enabled: true }
  const extension = (answer: JsonObject, name: string): JsonObject =>
    pick(answer, 'extensions', name) as JsonObject

  it('to-device messages come until they are acknowledged', async () => {
    const { toDevice } = home.node.engine.users
    const caller = { userId: alice.userId, deviceId: home.deviceId }
    const send = (n: number) =>
      toDevice.send(caller, 'm.test', `t${n}`, { [alice.userId]: { [home.deviceId]: { n } } })
    for (let n = 0; n < 3; n += 1) await send(n)
    const seen = (answer: JsonObject): readonly unknown[] =>
      list(extension(answer, 'to_device'), 'events').map((event) => pick(event, 'content', 'n'))
    const first = await ask(alice, { extensions: { to_device: { enabled: true, limit: 2 } } })
    expect(seen(first)).toEqual([0, 1])
    // A new connection that does not say what it has.
    const again = await ask(alice, { extensions: { to_device: enabled } })
    expect(seen(again)).toEqual([0, 1, 2])
    const since = text(extension(first, 'to_device'), 'next_batch')
    const third = await ask(alice, { extensions: { to_device: { enabled: true, since } } })
    expect(seen(third)).toEqual([2])
    const last = text(extension(third, 'to_device'), 'next_batch')
    const waiting = next(alice, third, {
      extensions: { to_device: { enabled: true, since: last } },
      timeout: 30_000,
    })
    await network.settle()
    await send(3)
    expect(seen(await waiting)).toEqual([3])
  })

  it('to-device messages wait for who has a token of a future that was lost with the store', async () => {
    const { toDevice } = home.node.engine.users
    const caller = { userId: alice.userId, deviceId: home.deviceId }
    await toDevice.send(caller, 'm.test', 't', { [alice.userId]: { [home.deviceId]: { n: 0 } } })
    const answer = await ask(alice, { extensions: { to_device: { enabled: true, since: '999999' } } })
    expect(list(extension(answer, 'to_device'), 'events')).toHaveLength(1)
    expect(Number(text(extension(answer, 'to_device'), 'next_batch'))).toBeLessThan(999_999)
  })

  it('e2ee tells counts, and whose devices changed', async () => {
    await sharedRoom(network, alice, bob)
    const body = { extensions: { e2ee: enabled } }
    const first = await ask(bob, body)
    expect(extension(first, 'e2ee')).toEqual({
      device_one_time_keys_count: expect.any(Object) as object,
      device_unused_fallback_key_types: [],
    })
    const keys = deviceKeysOf(home.user, home.deviceId, testKey(1))
    await alice.ok('POST', 'v3/keys/upload', { body: { device_keys: keys } })
    await network.settle()
    const second = await next(bob, first, body)
    expect(pick(extension(second, 'e2ee'), 'device_lists', 'changed')).toEqual([alice.userId])
  })

  it('account data comes whole at first, then what changes, for rooms of the answer', async () => {
    const one = await createRoom(alice)
    const two = await createRoom(alice)
    await say(alice, one, 'newest')
    const put = (roomId: string, value: number): Promise<JsonObject> =>
      alice.ok('PUT', at`v3/user/${alice.userId}/rooms/${roomId}/account_data/m.x`, { body: { value } })
    await put(one, 1)
    await put(two, 2)
    const body = { ...of(NONE, { range: [0, 0] }), extensions: { account_data: enabled } }
    const first = await ask(alice, body)
    const types = list(extension(first, 'account_data'), 'global').map(({ type }) => type)
    expect(types).toContain('m.push_rules')
    expect(extension(first, 'account_data')['rooms']).toEqual({
      [one]: [{ type: 'm.x', content: { value: 1 } }],
    })
    await put(one, 3)
    await put(two, 4)
    await alice.ok('PUT', at`v3/user/${alice.userId}/account_data/m.y`, { body: { y: 1 } })
    const second = await next(alice, first, body)
    expect(extension(second, 'account_data')).toEqual({
      global: [{ type: 'm.y', content: { y: 1 } }],
      rooms: { [one]: [{ type: 'm.x', content: { value: 3 } }] },
    })
    const third = await next(alice, second, { ...of(NONE), extensions: { account_data: enabled } })
    expect(extension(third, 'account_data')['rooms']).toEqual({
      [two]: [{ type: 'm.x', content: { value: 4 } }],
    })
    // Of what changed while it was not asked for nothing is lost.
    const without = await next(alice, third, of(NONE))
    await put(two, 5)
    const off = await next(alice, without, of(NONE))
    await alice.ok('PUT', at`v3/user/${alice.userId}/account_data/m.z`, { body: { z: 1 } })
    const on = await next(alice, off, { ...of(NONE), extensions: { account_data: enabled } })
    expect(list(extension(on, 'account_data'), 'global').map(({ type }) => type)).toContain('m.z')
    expect(pick(extension(on, 'account_data'), 'rooms', two)).toEqual([
      { type: 'm.x', content: { value: 5 } },
    ])
  })

  it('receipts and typing come for the rooms that are asked for', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    const eventId = await say(alice, roomId, 'read me')
    await network.settle()
    const extensions = { receipts: enabled, typing: { enabled: true, lists: ['all'] } }
    const body = { ...of(NONE), extensions }
    const first = await ask(alice, body)
    expect(extension(first, 'receipts')).toEqual({ rooms: {} })
    await bob.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${eventId}`, { body: {} })
    await bob.ok('PUT', at`v3/rooms/${roomId}/typing/${bob.userId}`, {
      body: { typing: true, timeout: 10_000 },
    })
    await network.settle()
    const second = await next(alice, first, body)
    expect(pick(extension(second, 'receipts'), 'rooms', roomId)).toMatchObject({
      type: 'm.receipt',
      content: { [eventId]: { 'm.read': { [bob.userId]: {} } } },
    })
    expect(extension(second, 'typing')).toEqual({
      rooms: { [roomId]: { type: 'm.typing', content: { user_ids: [bob.userId] } } },
    })
    const third = await next(alice, second, body)
    expect(extension(third, 'receipts')).toEqual({ rooms: {} })
    // Who comes in by an invite gets the receipts that are there.
    const { userId, deviceId } = await home.node.signUp('carol')
    const carol = await clientOf({ node: home.node, user: userId, deviceId })
    const entered = await createRoom(alice)
    const read = await say(alice, entered, 'hello')
    await alice.ok('POST', at`v3/rooms/${entered}/receipt/m.read/${read}`, { body: {} })
    await alice.ok('POST', at`v3/rooms/${entered}/invite`, { body: { user_id: carol.userId } })
    const invited = await ask(carol, body)
    await carol.ok('POST', at`v3/rooms/${entered}/join`, { body: {} })
    expect(pick(extension(await next(carol, invited, body), 'receipts'), 'rooms', entered)).toBeDefined()
    const elsewhere = { receipts: { enabled: true, lists: ['none'], rooms: [] } }
    const other = await ask(alice, { ...of(NONE), extensions: elsewhere })
    expect(extension(other, 'receipts')).toEqual({ rooms: {} })
    const fresh = await ask(alice, body)
    expect(pick(extension(fresh, 'receipts'), 'rooms', roomId)).toBeDefined()
  })
})
