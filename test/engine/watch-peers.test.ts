/** Which servers a node keeps connected. */
import type { ServerName } from '@plexus/core'
import { MAX_UNORDERED, watchPeers } from '@plexus/engine'
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

it('are told in the order of their liveliest rooms, when they are many', async () => {
  const names = Array.from({ length: MAX_UNORDERED + 1 }, (_, n) => `n${n}.example` as ServerName)
  const [quiet, lively] = [names.slice(0, -1), names.slice(-2)]
  const positions = new Map([
    ['!quiet', 4],
    ['!lively', 9],
  ])
  const { clock } = network
  const engine = {
    clock,
    log: alice.node.engine.log,
    committer: { onCommit: () => () => undefined },
    outbox: { peers: () => new Map([['!quiet', quiet] as const, ['!lively', lively] as const]) },
    rooms: {
      snapshot: (roomId: string) => Promise.resolve({ lastPosition: positions.get(roomId) }),
      localMembers: () => [alice.user],
    },
  } as unknown as Parameters<typeof watchPeers>[0]
  const told = new Promise<readonly ServerName[]>((resolve) => watchPeers(engine, resolve))
  await clock.advance(SETTLED_MS)
  expect((await told).slice(0, 2).toSorted()).toEqual(lively.toSorted())
  expect(new Set(await told)).toEqual(new Set(names))
})
