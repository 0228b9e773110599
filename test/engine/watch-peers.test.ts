/** Which servers a node keeps connected. */
import type { ServerName } from '@plexus/core'
import { watchPeers } from '@plexus/engine'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'

const SETTLED_MS = 1_000

let network: TestNetwork
let alice: Member
let bob: Member

beforeEach(async () => {
  network = await createTestNetwork(['alice', 'bob'])
  ;[alice, bob] = network.members as [Member, Member]
})
afterEach(() => network.close())

it('are those of the members of its rooms, while it is in them', async () => {
  const told: (readonly ServerName[])[] = []
  const stop = watchPeers(alice.node.engine, (names) => told.push(names))
  const settle = (): Promise<void> => network.clock.advance(SETTLED_MS)
  await settle()
  expect(told).toEqual([[]])
  const roomId = await bob.node.engine.rooms.create({
    creator: bob.user,
    initialState: [
      { type: 'm.room.member', stateKey: bob.user, content: { membership: 'join' } },
      { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } },
    ],
  })
  const joining = alice.node.engine.rooms.join(alice.user, roomId, { via: [bob.node.name] })
  await settle()
  await joining
  await settle()
  expect(told.at(-1)).toEqual([bob.node.name])
  const leaving = alice.node.engine.rooms.leave(alice.user, roomId)
  await settle()
  await leaving
  await settle()
  expect(told.at(-1)).toEqual([])
  stop()
  expect(told).toHaveLength(3)
})
