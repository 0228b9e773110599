/** Presence as clients see it, on one node and across two. spec: client-server-api/modules/presence.md */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork } from '../kit/node.ts'
import { sharedRoom } from '../kit/rooms.ts'

let network: TestNetwork
let alice: ApiClient
let bob: ApiClient
let carol: ApiClient

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  const [first, second] = network.members
  if (first === undefined || second === undefined) throw new Error('two members')
  alice = await clientOf(first)
  bob = await clientOf(second)
  const { userId, deviceId } = await first.node.signUp('carol')
  carol = await clientOf({ node: first.node, user: userId, deviceId })
})
afterEach(() => network.close())

const sync = (client: ApiClient, query: Record<string, string> = {}): Promise<JsonObject> =>
  client.ok('GET', 'v3/sync', { query: { set_presence: 'offline', ...query } })
const since = (answer: JsonObject): { since: string } => ({ since: text(answer, 'next_batch') })
const seen = (answer: JsonObject): readonly JsonObject[] => list(answer, 'presence', 'events')
const say = (client: ApiClient, body: JsonObject): Promise<JsonObject> =>
  client.ok('PUT', at`v3/presence/${client.userId}/status`, { body })
const status = (client: ApiClient, of: ApiClient): Promise<JsonObject> =>
  client.ok('GET', at`v3/presence/${of.userId}/status`)

describe('presence', () => {
  it('of a member comes with the news of their rooms, on this node and on another', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await alice.ok('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: carol.userId } })
    await carol.ok('POST', at`v3/rooms/${roomId}/join`, { body: {} })
    await network.settle()
    const waiting: Promise<JsonObject>[] = []
    for (const client of [alice, bob, carol])
      waiting.push(sync(client, { ...since(await sync(client)), timeout: '30000' }))
    await network.settle()
    await say(carol, { presence: 'unavailable', status_msg: 'at lunch' })
    const content = {
      presence: 'unavailable',
      status_msg: 'at lunch',
      currently_active: false,
      last_active_ago: expect.any(Number) as number,
    }
    for (const answer of await Promise.all(waiting))
      expect(seen(answer)).toEqual([{ type: 'm.presence', sender: carol.userId, content }])
    expect(await status(bob, carol)).toEqual(content)
    expect(seen(await sync(bob))).toHaveLength(1)
  })

  it('is not shown to who shares no room', async () => {
    await sharedRoom(network, alice, bob)
    const before = since(await sync(carol))
    await say(alice, { presence: 'online' })
    await network.settle()
    expect(seen(await sync(carol, before))).toEqual([])
    expect(seen(await sync(carol))).toEqual([])
    expect(await carol.fails('GET', at`v3/presence/${alice.userId}/status`)).toEqual([403, 'M_FORBIDDEN'])
    expect(await status(carol, carol)).toEqual({ presence: 'offline' })
  })

  it('of who is there comes with a room that is joined', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await alice.ok('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: carol.userId } })
    await say(alice, { presence: 'online' })
    const before = since(await sync(carol))
    await carol.ok('POST', at`v3/rooms/${roomId}/join`, { body: {} })
    const after = await sync(carol, before)
    expect(seen(after).map(({ sender }) => sender)).toEqual([alice.userId])
    expect(seen(await sync(carol, since(after)))).toEqual([])
  })

  it('of who joins comes to those who are in the room, and to no other room', async () => {
    const roomId = await sharedRoom(network, alice, bob)
    await sharedRoom(network, alice, carol)
    await say(carol, { presence: 'online' })
    await alice.ok('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: carol.userId } })
    const before = since(await sync(alice))
    await carol.ok('POST', at`v3/rooms/${roomId}/join`, { body: {} })
    const after = await sync(alice, before)
    expect(seen(after).map(({ sender }) => sender)).toEqual([carol.userId])
    await carol.ok('PUT', at`v3/rooms/${roomId}/state/m.room.member/${carol.userId}`, {
      body: { membership: 'join', displayname: 'Carol' },
    })
    expect(seen(await sync(alice, since(after)))).toEqual([])
  })

  it('comes as a filter lets it', async () => {
    await sharedRoom(network, alice, bob)
    await say(alice, { presence: 'online' })
    await network.settle()
    const none = { filter: JSON.stringify({ presence: { not_senders: [alice.userId] } }) }
    expect(seen(await sync(bob, none))).toEqual([])
    expect(seen(await sync(bob))).toHaveLength(1)
  })

  it('begins with asking for news and ends with leaving, as others see', async () => {
    await sharedRoom(network, alice, bob)
    await alice.ok('GET', 'v3/sync')
    await network.settle()
    const first = await sync(bob)
    expect(seen(first)).toMatchObject([{ sender: alice.userId, content: { presence: 'online' } }])
    await network.pass(31_000)
    const second = await sync(bob, since(first))
    expect(seen(second)).toMatchObject([{ sender: alice.userId, content: { presence: 'offline' } }])
  })

  it('of a client that would not be seen is not changed by asking for news', async () => {
    await sharedRoom(network, alice, bob)
    await sync(alice)
    await network.settle()
    expect(seen(await sync(bob))).toEqual([])
    expect(await status(bob, alice)).toEqual({ presence: 'offline' })
  })
})
