import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import type { Receipt } from '@plexus/engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clientOf, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork, type TestNode } from '../kit/node.ts'
import { say, sharedRoom } from '../kit/rooms.ts'

/** Named in `packages/engine/src/rooms-ephemeral/receipts.ts`. */
const MAX_THREADS_PER_USER = 1_000

let network: TestNetwork
let alice: ApiClient
let bob: ApiClient
let node: TestNode
let roomId: RoomId
let eventId: EventId
let there: ServerName

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  const [first, second] = network.members
  if (first === undefined || second === undefined) throw new Error('two members')
  node = first.node
  alice = await clientOf(first)
  bob = await clientOf(second)
  there = serverOf(bob.userId)
  roomId = (await sharedRoom(network, alice, bob)) as RoomId
  eventId = (await say(alice, roomId, 'one')) as EventId
  await network.settle()
})

afterEach(() => network.close())

const edu = (user: string, receipt: JsonObject, room: string = roomId, type = 'm.read'): JsonObject => ({
  [room]: { [type]: { [user]: receipt } },
})

async function take(content: JsonObject, origin: ServerName = there): Promise<readonly Receipt[]> {
  const { committer, receipts } = node.engine
  const effect = await receipts.edu(origin, content)
  if (effect !== undefined) await committer.submit(effect)
  return (await receipts.ofRoom(roomId)).filter(({ userId }) => userId !== alice.userId)
}

describe('receipt EDUs', () => {
  it('are kept for joined users of their origin, with time and thread', async () => {
    const found = await take(edu(bob.userId, { event_ids: [eventId], data: { ts: 7, thread_id: 'main' } }))
    expect(found).toMatchObject([{ userId: bob.userId, eventId, ts: 7, thread: 'main', type: 'm.read' }])
  })

  it.each<[string, () => JsonObject, ServerName?]>([
    ['of somebody else', () => edu(alice.userId, { event_ids: [eventId], data: { ts: 7 } })],
    [
      'of another origin',
      () => edu(bob.userId, { event_ids: [eventId], data: { ts: 7 } }),
      'evil.x' as ServerName,
    ],
    ['of no member', () => edu(`@carol:${there}`, { event_ids: [eventId], data: { ts: 7 } })],
    ['of an unknown room', () => edu(bob.userId, { event_ids: [eventId], data: { ts: 7 } }, '!nowhere:x')],
    [
      'that are private',
      () => edu(bob.userId, { event_ids: [eventId], data: { ts: 7 } }, roomId, 'm.read.private'),
    ],
    ['without data', () => edu(bob.userId, { event_ids: [eventId] })],
    ['without an event id', () => edu(bob.userId, { event_ids: [], data: { ts: 7 } })],
    ['with a broken event id', () => edu(bob.userId, { event_ids: ['x'], data: { ts: 7 } })],
    ['with a broken thread', () => edu(bob.userId, { event_ids: [eventId], data: { ts: 7, thread_id: 1 } })],
    ['that are no objects', () => ({ [roomId]: { 'm.read': { [bob.userId]: 'x' } } })],
    ['that are empty', () => ({})],
  ])('%s are ignored', async (_, content, origin) => {
    expect(await take(content(), origin)).toEqual([])
  })

  it('do not go back to an earlier event', async () => {
    const later = (await say(alice, roomId, 'two')) as EventId
    await take(edu(bob.userId, { event_ids: [later], data: { ts: 8 } }))
    const found = await take(edu(bob.userId, { event_ids: [eventId], data: { ts: 9 } }))
    expect(found).toMatchObject([{ eventId: later, ts: 8 }])
  })

  it('are bounded in threads', async () => {
    for (let index = 0; index < MAX_THREADS_PER_USER + 5; index += 1) {
      await take(edu(bob.userId, { event_ids: [eventId], data: { ts: index, thread_id: `$${index}` } }))
    }
    expect(await node.engine.receipts.ofUser(roomId, bob.userId)).toHaveLength(MAX_THREADS_PER_USER)
  })
})

describe('receipts', () => {
  it('are told once each, at their newest position', async () => {
    const { receipts, committer } = node.engine
    const before = committer.committed
    const later = (await say(alice, roomId, 'two')) as EventId
    await receipts.set(alice.userId, roomId, { type: 'm.read', eventId })
    await receipts.set(alice.userId, roomId, { type: 'm.read', eventId: later })
    await receipts.set(alice.userId, roomId, { type: 'm.read.private', eventId: later })
    const found = await receipts.since(before, committer.committed)
    expect(found.map(({ type, eventId: id }) => [type, id])).toEqual([
      ['m.read', later],
      ['m.read.private', later],
    ])
    expect(await receipts.since(committer.committed, committer.committed)).toEqual([])
  })

  it('survive a restart', async () => {
    const [first] = network.members
    if (first === undefined) throw new Error('a member')
    await node.engine.receipts.set(alice.userId, roomId, { type: 'm.read', eventId })
    const again = await network.restart(first)
    expect(await again.node.engine.receipts.ofUser(roomId, alice.userId)).toMatchObject([{ eventId }])
  })
})
