/** As `second-look.test.ts`, of a room whose members came later, from one who alone was there. */
import { eventIdOf, memberKey, roomVersion } from '@plexus/core'
import type { EventId, RoomId, RoomVersion } from '@plexus/core'
import type { Federation } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { createLargeRoom, isPartial } from '../engine/large-room-kit.ts'
import { bodies, bringIn, make, membershipAt, say, stateText } from '../engine/rooms-kit.ts'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'

const version = roomVersion('12') as RoomVersion

describe('the members of a room that one alone tells', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let dave: BareNode
  let erin: BareNode
  let roomId: RoomId
  let lie: Partial<Federation>

  /** Erin is banned; Alice's server tells that she is in the room, and nobody else is there. */
  beforeEach(async () => {
    const room = await createLargeRoom()
    ;({ network, alice, bob, carol, roomId } = room)
    dave = await network.add('dave')
    erin = await network.add('erin')
    for (const guest of [dave, erin]) await bringIn(network, alice, guest, roomId)
    const joined = (await alice.rooms.snapshot(roomId))?.state.get(memberKey(erin.user)) as EventId
    const ban = { type: 'm.room.member', stateKey: erin.user, sender: alice.user }
    await alice.rooms.send(roomId, { ...ban, content: { membership: 'ban' } })
    await network.settle()
    const tell = room.withhold()
    for (const { name } of [carol, dave, erin]) network.offline.add(name)
    await room.join()
    await network.settle()
    expect(await isPartial(bob, roomId)).toBe(true)
    tell()
    lie = {
      stateIds: async (_to, _room, id) => {
        const { state, authChain } = await alice.rooms.stateFor(bob.name, roomId, id)
        const banned = (pdu: (typeof state)[number]): boolean => pdu.state_key === erin.user
        const pduIds = state.map((pdu) => (banned(pdu) ? joined : eventIdOf(version, pdu)))
        return { pduIds, authChainIds: authChain.map((pdu) => eventIdOf(version, pdu)) }
      },
    }
    network.cheats.set(alice.name, lie)
  })

  const spam = async (body: string): Promise<EventId> => {
    const { id, pdu } = await make(erin, bob, roomId, { body })
    await bob.rooms.receive(erin.name, [pdu])
    await network.settle()
    return id
  }
  const isUnconfirmed = async (node = bob): Promise<boolean> =>
    (await node.rooms.snapshot(roomId))?.isUnconfirmed === true
  const becomeWhole = async (node = bob): Promise<void> => {
    await network.pass(60_000)
    expect(await isPartial(node, roomId)).toBe(false)
    expect(await isUnconfirmed(node)).toBe(true)
    expect(await membershipAt(node, roomId, erin.user)).toBe('join')
  }
  const expectTruth = async (node = bob): Promise<void> => {
    for (const { name } of [carol, dave]) {
      network.offline.delete(name)
      node.completion.kick(name)
    }
    await network.pass(120_000)
    expect(await isUnconfirmed(node)).toBe(false)
    expect(await membershipAt(node, roomId, erin.user)).toBe('ban')
    expect(await stateText(node, roomId)).toBe(await stateText(dave, roomId))
    for (const table of ['partial', 'provisional', 'unredacted'])
      expect(await node.store.range(table, '', '\u00ff')).toEqual([])
  }

  it('give way to what two others tell, with what was decided before and after they came', async () => {
    await say(bob, roomId, 'before')
    await becomeWhole()
    await say(bob, roomId, 'after')
    const id = await spam('spam')
    expect(await bodies(bob, roomId)).toEqual(['before', 'after', 'spam'])
    await expectTruth()
    expect(await bodies(bob, roomId)).toEqual(['before', 'after'])
    expect((await bob.rooms.event(id))?.verdict).not.toBe('accepted')
    await say(dave, roomId, 'she is banned')
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toEqual(['before', 'after', 'she is banned'])
  })

  it('are asked about soon also where it took days to be told any', async () => {
    network.offline.add(alice.name)
    await network.pass(3 * 86_400_000)
    network.offline.delete(alice.name)
    bob.completion.kick(alice.name)
    await becomeWhole()
    // Nobody tells that they come.
    for (const { name } of [carol, dave]) network.offline.delete(name)
    await network.pass(1_800_000)
    expect(await isUnconfirmed()).toBe(false)
  })

  it('are asked about again after a restart', async () => {
    await becomeWhole()
    await spam('spam')
    for (const part of [bob.completion, bob.staging, bob.outbox]) part.close()
    const again = await network.add('bob', { store: bob.store, seed: 2 })
    expect(await isUnconfirmed(again)).toBe(true)
    await again.completion.resume()
    await expectTruth(again)
    expect(await bodies(again, roomId)).toEqual([])
  })
})
