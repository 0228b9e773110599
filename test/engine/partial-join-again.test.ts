/** A room that is left and entered without its members again, while something of the first time is under way. */
import type { RoomId } from '@plexus/core'
import type { Federation } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { createLargeRoom, isPartial, type LargeRoom } from './large-room-kit.ts'
import { setTopic, stateText } from './rooms-kit.ts'

describe('a room that is entered anew without its members', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let roomId: RoomId
  let join: LargeRoom['join']

  beforeEach(async () => {
    ;({ network, alice, bob, carol, roomId, join } = await createLargeRoom())
  })

  /** With it what was missed is not told, so that the room is entered anew. */
  const noHistory: Partial<Federation> = {
    getMissingEvents: async () => ({ events: [] }),
    backfill: async () => ({ pdus: [] }),
    event: async () => ({ pdus: [] }),
  }

  it('is not whole by what was asked about an earlier join', async () => {
    const asked = Promise.withResolvers<void>()
    const answered = Promise.withResolvers<void>()
    network.cheats.set(alice.name, {
      async stateIds(_to, room, id) {
        const { stateIds: pduIds, authChainIds } = await alice.rooms.stateFor(bob.name, room, id)
        asked.resolve()
        await answered.promise
        return { pduIds, authChainIds }
      },
      ...noHistory,
    })
    await join()
    await asked.promise
    await bob.rooms.leave(bob.user, roomId)
    await setTopic(alice, roomId, 'new')
    await join()
    expect((await bob.rooms.snapshot(roomId))?.since).toBeGreaterThan(0)
    network.cheats.clear()
    answered.resolve()
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('is fetched at once also where an earlier stay left something to be confirmed', async () => {
    const sendJoin: Federation['sendJoin'] = async (_to, room, id, event) =>
      structuredClone(await alice.rooms.acceptMembership('join', bob.name, room, id, event))
    network.cheats.set(alice.name, { ...noHistory, sendJoin })
    network.offline.add(carol.name)
    await join()
    expect((await bob.rooms.snapshot(roomId))?.isUnconfirmed).toBe(true)
    await network.pass(3 * 86_400_000)
    await bob.rooms.leave(bob.user, roomId)
    await setTopic(alice, roomId, 'new')
    network.cheats.set(alice.name, noHistory)
    await join()
    expect(await isPartial(bob, roomId)).toBe(true)
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
  })
})
