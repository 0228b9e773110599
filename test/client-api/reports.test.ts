/** What users report reaches the operator, in bounds. */
import type { UserId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, createApiClient, text, type ApiClient } from '../kit/api-client.ts'
import { createLoopback } from '../kit/loopback.ts'
import { createTestNode, type TestNode } from '../kit/node.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'

const UNKNOWN_ROOM = '!nowhere:example.org'
const UNKNOWN_EVENT = `$${'n'.repeat(43)}`
const MOST = 1_000
const MOST_OF_ONE = 50

let node: TestNode
let alice: ApiClient
let roomId: string
let eventId: string

beforeEach(async () => {
  const clock = createVirtualClock()
  node = await createTestNode({ loopback: createLoopback({ clock }), clock, seed: 1 })
  alice = createApiClient(node.clientApi, await node.signUp('alice'))
  roomId = text(await alice.ok('POST', 'v3/createRoom', { body: {} }), 'room_id')
  const body = { msgtype: 'm.text', body: 'rude' }
  eventId = text(await alice.ok('PUT', at`v3/rooms/${roomId}/send/m.room.message/1`, { body }), 'event_id')
})
afterEach(() => node.close())

describe('reports', () => {
  it('of rooms, events and users reach the operator, the newest first, also after a restart', async () => {
    const body = { reason: 'rude' }
    await alice.ok('POST', at`v3/rooms/${roomId}/report`, { body })
    // Whether there is such a room is not told.
    await alice.ok('POST', at`v3/rooms/${UNKNOWN_ROOM}/report`, { body: { reason: '' } })
    await alice.ok('POST', at`v3/rooms/${roomId}/report/${eventId}`, { body: { ...body, score: -100 } })
    await alice.ok('POST', at`v3/users/${'@bob:example.org'}/report`, { body })
    const by = alice.userId
    const expected = [
      { by, reason: 'rude', userId: '@bob:example.org' },
      { by, reason: 'rude', roomId, eventId },
      { by, reason: '', roomId: UNKNOWN_ROOM },
      { by, reason: 'rude', roomId },
    ]
    expect(await node.engine.users.reports.list()).toMatchObject(expected)
    node = await node.restart()
    expect(await node.engine.users.reports.list()).toMatchObject(expected)
  })

  it('need an event that the user can see, and words', async () => {
    const body = { reason: 'rude' }
    const there = at`v3/rooms/${UNKNOWN_ROOM}/report/${eventId}`
    expect((await alice.fails('POST', there, { body }))[0]).toBeGreaterThanOrEqual(403)
    expect(await alice.fails('POST', at`v3/rooms/${roomId}/report/${UNKNOWN_EVENT}`, { body })).toEqual([
      404,
      'M_NOT_FOUND',
    ])
    expect((await alice.fails('POST', at`v3/rooms/${roomId}/report`, { body: {} }))[0]).toBe(400)
    expect((await alice.fails('POST', at`v3/users/${'nobody'}/report`, { body }))[0]).toBe(400)
    const long = { reason: 'x'.repeat(5_000) }
    expect(await alice.fails('POST', at`v3/rooms/${roomId}/report`, { body: long })).toEqual([
      413,
      'M_TOO_LARGE',
    ])
    expect(await node.engine.users.reports.list()).toEqual([])
  })

  it('are bounded, in all and of one user', async () => {
    const { reports } = node.engine.users
    const userId = '@bob:example.org' as UserId
    for (let count = 0; count < MOST_OF_ONE + 5; count += 1)
      await reports.add(alice.userId, { userId }, `${count}`)
    const own = await reports.list()
    expect(own).toHaveLength(MOST_OF_ONE)
    expect(own[0]?.reason).toBe(`${MOST_OF_ONE + 4}`)
    for (let count = 0; count < MOST; count += 1) await reports.add(`@u${count}:a` as UserId, { userId }, 'x')
    expect(await reports.list()).toHaveLength(MOST)
  })
})
