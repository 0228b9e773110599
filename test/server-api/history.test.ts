/** History from members that are slow, lie, or may not show what they hold. */
import type { EventId, RoomId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, createApiClient, list, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type TestNetwork, type TestNode } from '../kit/node.ts'
import { createRoom, joinFrom, say } from '../kit/rooms.ts'
import { settled } from '../kit/virtual-clock.ts'

const MESSAGES = 12

describe('the history of a room', { timeout: 60_000 }, () => {
  let network: TestNetwork
  let nodes: readonly [TestNode, TestNode, TestNode]
  let alice: ApiClient
  let bob: ApiClient
  let carol: ApiClient

  beforeEach(async () => {
    network = await createTestNetwork(['x', 'y', 'z'], 111)
    nodes = network.members.map(({ node }) => node) as unknown as typeof nodes
    alice = createApiClient(nodes[0].clientApi, await nodes[0].signUp('alice'))
    bob = createApiClient(nodes[1].clientApi, await nodes[1].signUp('bob'))
    carol = createApiClient(nodes[2].clientApi, await nodes[2].signUp('carol'))
  })
  afterEach(() => network.close())

  const readBy = (client: ApiClient, room: string) =>
    client.ok('GET', at`v3/rooms/${room}/messages`, { query: { dir: 'b', limit: '100' } })

  it.each([0, 1])('comes from another member while one says nothing (%i)', async (silent) => {
    const room = await createRoom(alice, { preset: 'public_chat' })
    await joinFrom(network, bob, alice, room)
    for (let count = 0; count < MESSAGES; count += 1) await say(alice, room, `m${count}`)
    await network.settle()
    await joinFrom(network, carol, alice, room)
    network.loopback.decideFate(({ to, uri }) =>
      uri.includes('/backfill/') && to === nodes[silent]?.name ? { delayMs: 3_600_000 } : {},
    )
    let page: Awaited<ReturnType<typeof readBy>> | undefined
    const reading = readBy(carol, room).then((found) => (page = found))
    for (let turn = 0; turn < 500 && page === undefined; turn += 1) {
      await settled()
      if (turn % 100 === 99) await network.clock.advance(1_000)
    }
    expect(page, 'no page within five seconds').toBeDefined()
    const types = list(await reading, 'chunk').map(({ type }) => type)
    expect(types.filter((type) => type === 'm.room.message')).toHaveLength(MESSAGES)
  })

  it('that was fetched is not passed on to who may not have seen it', async () => {
    const visibility = (value: string) => ({
      type: 'm.room.history_visibility',
      content: { history_visibility: value },
    })
    const room = await createRoom(alice, { preset: 'public_chat', initial_state: [visibility('shared')] })
    const early = (await say(alice, room, 'secret')) as EventId
    await joinFrom(network, bob, alice, room)
    await readBy(bob, room)
    expect((await nodes[1].engine.rooms.event(early))?.order).toBeLessThan(0)
    const body = { history_visibility: 'joined' }
    await alice.ok('PUT', at`v3/rooms/${room}/state/m.room.history_visibility/`, { body })
    await network.settle()
    await joinFrom(network, carol, alice, room)
    const { federation } = nodes[2].engine
    const { pdus } = await federation.backfill(nodes[1].name, room as RoomId, [early], 5)
    expect(JSON.stringify(pdus)).not.toContain('secret')
  })
})
