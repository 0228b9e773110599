/** Members that left a room and come back to it. */
import { memberKey, stateKey } from '@plexus/core'
import type { Pdu, RoomId, UserId } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import {
  bodies,
  createRoom,
  expectAncestorsFirst,
  make,
  say,
  setTopic,
  stateText,
  TO_END,
  threeServers,
} from './rooms-kit.ts'

let network: BareNetwork
let alice: BareNode
let bob: BareNode
let carol: BareNode
let roomId: RoomId

beforeEach(async () => {
  ;({ network, alice, bob, carol, roomId } = await threeServers('public'))
})

const join = (node: BareNode, through: BareNode): Promise<void> =>
  node.rooms.join(node.user, roomId, { via: [through.name] })

/** Events of one answer to a backfill. */
const PAGE = 100

describe('a member that comes back', { timeout: 30_000 }, () => {
  const historyOf = async (node: BareNode): Promise<unknown[]> => {
    for (let page = 0; page < 10; page += 1) await node.rooms.backfill(roomId, TO_END, 1_000)
    return bodies(node, roomId)
  }

  it('has what it missed in its place', async () => {
    await say(alice, roomId, 'before')
    await join(bob, alice)
    await network.settle()
    await say(alice, roomId, 'first stay')
    await network.settle()
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    for (let index = 0; index < 5; index += 1) await say(alice, roomId, `missed ${index}`)
    await setTopic(alice, roomId, 'new topic')
    await join(carol, alice)
    await network.settle()
    await say(carol, roomId, 'missed too')
    await network.settle()
    await join(bob, alice)
    await network.settle()
    await say(carol, roomId, 'second stay')
    await network.settle()
    const missed = ['missed 0', 'missed 1', 'missed 2', 'missed 3', 'missed 4', 'missed too']
    expect(await bodies(bob, roomId)).toEqual(['first stay', ...missed, 'second stay'])
    expect(await historyOf(bob)).toEqual(['before', 'first stay', ...missed, 'second stay'])
    await expectAncestorsFirst(bob, roomId)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect((await bob.rooms.snapshot(roomId))?.joinedServers).toEqual(
      [alice.name, bob.name, carol.name].toSorted(),
    )
    await say(bob, roomId, 'to all')
    await network.settle()
    for (const node of [alice, carol]) expect((await bodies(node, roomId)).at(-1)).toBe('to all')
  })

  it('goes on after a hole when that is not told, and can read what is in it', async () => {
    await say(alice, roomId, 'before')
    await join(bob, alice)
    await say(alice, roomId, 'first stay')
    await network.settle()
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    for (let index = 0; index < 5; index += 1) await say(alice, roomId, `missed ${index}`)
    network.cheats.set(alice.name, { getMissingEvents: () => Promise.reject(new Error('no')) })
    await join(bob, alice)
    network.cheats.clear()
    await say(alice, roomId, 'second stay')
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['first stay', 'second stay'])
    const all = await historyOf(bob)
    expect(all.map(String).toSorted()).toEqual(
      [
        'before',
        'first stay',
        'missed 0',
        'missed 1',
        'missed 2',
        'missed 3',
        'missed 4',
        'second stay',
      ].toSorted(),
    )
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('takes for history what its return follows, though it follows the earlier stay', async () => {
    await join(bob, alice)
    await network.settle()
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    const missed = await alice.rooms.event(await say(alice, roomId, 'missed'))
    const topic = await alice.rooms.event(await setTopic(alice, roomId, 'missed too'))
    await say(alice, roomId, 'the return follows this')
    network.cheats.set(alice.name, { getMissingEvents: () => Promise.reject(new Error('no')) })
    await join(bob, alice)
    network.cheats.clear()
    await bob.rooms.receive(alice.name, [missed?.pdu as Pdu, topic?.pdu as Pdu])
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toEqual([])
    expect((await bob.rooms.snapshot(roomId))?.heads).toEqual((await alice.rooms.snapshot(roomId))?.heads)
    expect(await historyOf(bob)).toEqual(['missed', 'the return follows this'])
    // Nor does it forget when it starts again.
    const again = await network.add('bob', { store: bob.store, seed: 2 })
    await again.rooms.receive(alice.name, [missed?.pdu as Pdu])
    await network.pass(60_000)
    expect((await again.rooms.snapshot(roomId))?.heads).toEqual((await alice.rooms.snapshot(roomId))?.heads)
  })

  it('knows the state after what an earlier stay ended with, whatever others tell of it', async () => {
    await join(bob, alice)
    await network.settle()
    const topic = await setTopic(alice, roomId, 'of the first stay')
    await network.settle()
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    const ended = (await alice.rooms.snapshot(roomId))?.heads ?? []
    await say(alice, roomId, 'missed')
    network.cheats.set(alice.name, { getMissingEvents: () => Promise.reject(new Error('no')) })
    await join(bob, alice)
    const nobody = async (): Promise<never> => Promise.reject(new Error('no'))
    network.cheats.set(alice.name, { stateIds: nobody, state: nobody, backfill: nobody, event: nobody })
    const heads = (await bob.rooms.snapshot(roomId))?.heads ?? []
    const { id, pdu } = await make(alice, alice, roomId, { prev: [...heads, ...ended], body: 'joins both' })
    await bob.rooms.receive(alice.name, [pdu])
    await network.settle()
    expect(await bob.rooms.event(id)).toMatchObject({ verdict: 'accepted', basis: 'full' })
    expect((await bob.rooms.stateAfter(id))?.get(stateKey('m.room.topic', ''))).toBe(topic)
    expect((await bob.rooms.snapshot(roomId))?.heads).toEqual([id])
  })

  it('takes a late event for history in a room that it made, and however much it missed', async () => {
    const own = await createRoom(bob, 'public')
    await alice.rooms.join(alice.user, own, { via: [bob.name] })
    await network.settle()
    await bob.rooms.leave(bob.user, own)
    await network.settle()
    const first = await alice.rooms.event(await say(alice, own, 'first'))
    for (let index = 0; index < 2 * PAGE; index += 1) await say(alice, own, `missed ${index}`)
    network.cheats.set(alice.name, { getMissingEvents: () => Promise.reject(new Error('no')) })
    await bob.rooms.join(bob.user, own, { via: [alice.name] })
    network.cheats.clear()
    await bob.rooms.receive(alice.name, [first?.pdu as Pdu])
    await network.pass(60_000)
    expect(await bodies(bob, own)).toEqual([])
    expect((await bob.rooms.snapshot(own))?.heads).toEqual((await alice.rooms.snapshot(own))?.heads)
  })

  it('still sends what it said before it left', async () => {
    await join(bob, alice)
    await network.settle()
    network.offline.add(alice.name)
    const unsent = await say(bob, roomId, 'before it left')
    await bob.rooms.leave(bob.user, roomId)
    await say(alice, roomId, 'meanwhile')
    await network.settle()
    network.offline.delete(alice.name)
    network.cheats.set(alice.name, { getMissingEvents: () => Promise.reject(new Error('no')) })
    await join(bob, alice)
    network.cheats.clear()
    await network.pass(600_000)
    expect(await alice.rooms.event(unsent)).toMatchObject({ verdict: 'accepted' })
  })

  it('tells what changed while it was away also when it was told no event of that', async () => {
    await join(bob, alice)
    await network.settle()
    const keysChangedSince = async (from: number): Promise<readonly string[]> => {
      const deltas = await bob.rooms.stateDeltas(roomId, from, bob.committer.committed)
      return deltas.flatMap(({ changes }) => changes.map(({ key }) => key)).toSorted()
    }
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    const away = bob.committer.committed
    await join(carol, alice)
    await setTopic(alice, roomId, 'new topic')
    network.cheats.set(alice.name, { getMissingEvents: () => Promise.reject(new Error('no')) })
    await join(bob, alice)
    expect(await keysChangedSince(away)).toEqual(
      [memberKey(bob.user), memberKey(carol.user), stateKey('m.room.topic', '')].toSorted(),
    )
  })

  it('knows what became of the other users of its node', async () => {
    const friend = `@friend:${bob.name}` as UserId
    await join(bob, alice)
    await bob.rooms.join(friend, roomId, { via: [] })
    await network.settle()
    await bob.rooms.leave(bob.user, roomId)
    await bob.rooms.leave(friend, roomId)
    await network.settle()
    const ban = {
      type: 'm.room.member',
      sender: alice.user,
      stateKey: friend,
      content: { membership: 'ban' },
    }
    await alice.rooms.send(roomId, ban)
    network.cheats.set(alice.name, { getMissingEvents: () => Promise.reject(new Error('no')) })
    await join(bob, alice)
    expect((await bob.rooms.membership(friend, roomId))?.membership).toBe('ban')
  })
})
