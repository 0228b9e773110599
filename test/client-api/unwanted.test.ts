/** What a user does not want to see: invites, and messages of those whom they ignore. */
import type { JsonObject, RoomId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, createApiClient, list, pick, text } from '../kit/api-client.ts'
import type { ApiClient } from '../kit/api-client.ts'
import { createTestNetwork } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { unreadIn } from '../kit/rooms.ts'
import { bringIn, createRoom } from '../server-api/room.ts'

const SLIDING = 'unstable/org.matrix.simplified_msc3575/sync'

let network: TestNetwork
let alice: ApiClient
let bob: ApiClient
/** On Bob's node. */
let carol: ApiClient
let members: readonly [Member, Member]

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  members = network.members as unknown as [Member, Member]
  alice = await clientOf(members[0])
  bob = await clientOf(members[1])
  const { node } = members[1]
  const session = await node.engine.users.accounts.register({ localpart: 'carol' }, { deviceId: 'C' })
  carol = createApiClient(node.clientApi, session)
})
afterEach(() => network.close())

const setData = (client: ApiClient, type: string, body: JsonObject): Promise<JsonObject> =>
  client.ok('PUT', at`v3/user/${client.userId}/account_data/${type}`, { body })
const block = (client: ApiClient): Promise<JsonObject> =>
  setData(client, 'm.invite_permission_config', { default_action: 'block' })
const unblock = (client: ApiClient): Promise<JsonObject> => setData(client, 'm.invite_permission_config', {})
const ignore = (client: ApiClient, ...users: readonly string[]): Promise<JsonObject> =>
  setData(client, 'm.ignored_user_list', {
    ignored_users: Object.fromEntries(users.map((user) => [user, {}])),
  })
const roomOf = async (client: ApiClient, body: JsonObject = {}): Promise<RoomId> =>
  text(await client.ok('POST', 'v3/createRoom', { body }), 'room_id') as RoomId
const invited = async (client: ApiClient): Promise<readonly string[]> => {
  await network.settle()
  const answer = await client.ok('GET', 'v3/sync')
  const invites = Object.keys(pick(answer, 'rooms', 'invite') as JsonObject)
  const sliding = await client.ok('POST', SLIDING, {
    body: {
      lists: {
        all: { ranges: [[0, 9]], timeline_limit: 1, required_state: [], filters: { is_invite: true } },
      },
    },
  })
  expect(Object.keys(pick(sliding, 'rooms') as JsonObject).sort()).toEqual([...invites].sort())
  return invites
}

describe('a user who blocks invites', () => {
  it.each([
    ['of their own server', () => carol],
    ['of another server', () => alice],
  ])('gets none %s, by any way', async (_whose, inviterOf) => {
    const inviter = inviterOf()
    const roomId = await roomOf(inviter)
    const state = at`v3/rooms/${roomId}/state/m.room.member/${bob.userId}`
    await block(bob)
    const byInvite = { body: { user_id: bob.userId } }
    const blocked = [403, 'M_INVITE_BLOCKED']
    expect(await inviter.fails('POST', at`v3/rooms/${roomId}/invite`, byInvite)).toEqual(blocked)
    expect(await inviter.fails('PUT', state, { body: { membership: 'invite' } })).toEqual(blocked)
    await roomOf(inviter, { invite: [bob.userId] })
    expect(await invited(bob)).toEqual([])

    await unblock(bob)
    await inviter.ok('POST', at`v3/rooms/${roomId}/invite`, byInvite)
    expect(await invited(bob)).toEqual([roomId])
  })

  it('does not see those from before either, until they want invites again', async () => {
    const roomId = await roomOf(alice, { invite: [bob.userId] })
    expect(await invited(bob)).toEqual([roomId])
    await block(bob)
    expect(await invited(bob)).toEqual([])
    await unblock(bob)
    expect(await invited(bob)).toEqual([roomId])
    await ignore(bob, alice.userId)
    expect(await invited(bob)).toEqual([])
  })

  it('can invite others', async () => {
    await block(bob)
    const roomId = await roomOf(bob, { invite: [carol.userId] })
    expect(await invited(carol)).toEqual([roomId])
  })
})

describe('somebody who is ignored', () => {
  it('is heard nowhere in a room, but for the state that they change', async () => {
    const [first, second] = members
    const roomId = await createRoom(first)
    await bringIn(first, second, roomId)
    const send = async (client: ApiClient, txn: string, content: JsonObject): Promise<string> =>
      text(
        await client.ok('PUT', at`v3/rooms/${roomId}/send/m.room.message/${txn}`, {
          body: { msgtype: 'm.text', ...content },
        }),
        'event_id',
      )
    const root = await send(bob, 'root', { body: 'root' })
    await network.settle()
    const reply = { 'm.relates_to': { rel_type: 'm.thread', event_id: root } }
    await send(alice, 'spam', { body: 'spam' })
    await send(alice, 'reply', { body: 'spam in a thread', ...reply })
    await alice.ok('PUT', at`v3/rooms/${roomId}/state/m.room.topic`, { body: { topic: 'news' } })
    await network.settle()
    await send(bob, 'end', { body: 'end', ...reply })

    const bodies = (events: readonly unknown[]): unknown[] =>
      events.flatMap((event) => {
        const { type, content } = event as { type: string; content: { body?: string } }
        return type === 'm.room.message' ? [content.body] : []
      })
    const read = async (): Promise<unknown> => {
      const page = await bob.ok('GET', at`v3/rooms/${roomId}/messages`, { query: { dir: 'f', limit: '50' } })
      expect(list(page, 'chunk')).toContainEqual(expect.objectContaining({ type: 'm.room.topic' }))
      const context = await bob.ok('GET', at`v3/rooms/${roomId}/context/${root}`, { query: { limit: '20' } })
      const relations = await bob.ok('GET', at`v1/rooms/${roomId}/relations/${root}`)
      return {
        page: bodies(list(page, 'chunk')),
        after: bodies(list(context, 'events_after')),
        relations: bodies(list(relations, 'chunk')),
      }
    }
    expect(await read()).toEqual({
      page: ['root', 'spam', 'spam in a thread', 'end'],
      after: ['spam', 'spam in a thread', 'end'],
      relations: ['end', 'spam in a thread'],
    })
    await ignore(bob, alice.userId)
    expect(await read()).toEqual({ page: ['root', 'end'], after: ['end'], relations: ['end'] })

    const unread = (): Promise<unknown> => unreadIn(bob, roomId)
    await send(alice, 'more', { body: 'more spam' })
    await network.settle()
    expect(await unread()).toBe(0)
    await ignore(bob)
    await send(alice, 'welcome', { body: 'no spam' })
    await network.settle()
    // What was said in the meantime is there again, and was not read.
    expect(await unread()).toBe(3)
  })
})
