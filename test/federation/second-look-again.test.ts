/** Rooms whose state is asked about later, where the answer comes at a bad time. */
import type { ServerName } from '@plexus/core'
import { CarrierError } from '@plexus/engine/ports'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import { createBareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bodies, createRoom, membershipAt, say } from '../engine/rooms-kit.ts'
import { createLookedAt, DAY_MS, type LookedAt } from './second-look-kit.ts'

describe('a state that two members tell later', { timeout: 30_000 }, () => {
  /** Bob's store stops for good once the first of several batches was decided again. */
  const killable = () => {
    let kills = 0
    const disk = createMemoryDisk({
      fault: ({ writes }) => {
        const hasBegun = writes.some(
          ({ map, value }) => map === 'partial' && value?.includes('"whole"') === true,
        )
        if (!hasBegun || kills > 0) return 'none'
        kills += 1
        return 'crash-after'
      },
    })
    return {
      open: () => openMemoryStore(disk),
      restart: async ({ network, bob }: LookedAt): Promise<BareNode> => {
        expect(kills).toBe(1)
        for (const part of [bob.completion, bob.staging, bob.outbox]) part.close()
        const again = await network.add('bob', { seed: 9, store: await openMemoryStore(disk) })
        await again.completion.resume()
        return again
      },
    }
  }

  it('counts also after a kill in the middle of deciding again', async () => {
    const { open, restart } = killable()
    const kit = await createLookedAt(await open())
    const { network, alice, bob, carol, dave, roomId } = kit
    await kit.hideBan()
    kit.away(alice, carol, dave)
    await kit.join()
    await kit.spam()
    for (let index = 0; index < 150; index += 1) await say(bob, roomId, `m${index}`)
    kit.appear(bob, alice, dave)
    await network.pass(60_000)
    const again = await restart(kit)
    expect(await membershipAt(again, roomId, carol.user)).toBe('join')
    await network.pass(60_000)
    await kit.expectTruth(again)
    expect(await bodies(again, roomId)).toHaveLength(150)
  })

  it('counts also where it lacked members at a kill', async () => {
    const { open, restart } = killable()
    const kit = await createLookedAt(await open())
    const { network, alice, bob, carol, dave, roomId } = kit
    const tell = await kit.hideMembers()
    kit.away(alice, carol, dave)
    await kit.join()
    for (let index = 0; index < 150; index += 1) await say(bob, roomId, `m${index}`)
    expect((await bob.rooms.snapshot(roomId))?.isPartial).toBe(true)
    tell()
    await network.pass(60_000)
    const again = await restart(kit)
    await network.pass(60_000)
    expect(await membershipAt(again, roomId, carol.user)).toBe('join')
    expect(await kit.isUnconfirmed(again)).toBe(true)
    expect(await bodies(again, roomId)).toHaveLength(150)
    kit.appear(again, alice, dave)
    await network.pass(60_000)
    await kit.expectTruth(again)
    expect(await bodies(again, roomId)).toHaveLength(150)
  })

  it('is asked for soon also of who comes while another is asked', async () => {
    const kit = await createLookedAt()
    const { network, alice, bob, carol, dave } = kit
    await kit.hideBan()
    kit.away(alice, carol, dave)
    await kit.join()
    await network.pass(3 * DAY_MS)
    const asked = Promise.withResolvers<void>()
    const answered = Promise.withResolvers<never>()
    const sendTransaction = (): Promise<never> => {
      asked.resolve()
      return answered.promise
    }
    network.cheats.set(alice.name, { sendTransaction })
    bob.completion.kick(alice.name)
    network.clock.fire(network.clock.now() + 60_000)
    await asked.promise
    for (const { name } of [carol, dave]) bob.completion.kick(name)
    answered.reject(new CarrierError('unreachable', 'gone'))
    await network.settle()
    network.cheats.delete(alice.name)
    kit.away()
    await network.pass(60_000)
    await kit.expectTruth()
  })

  it.each(['Mallory', 'who believed her'])(
    'is not that of two who have it from one, entered by %s',
    async (by) => {
      const kit = await createLookedAt()
      const { network, alice, bob, carol, dave, mallory, roomId } = kit
      const erin = await network.add('erin', { seed: 10 })
      await kit.hideBan()
      kit.away(alice, carol, dave)
      await erin.rooms.join(erin.user, roomId, { via: [mallory.name] })
      expect(await kit.isUnconfirmed(erin)).toBe(true)
      // She lies to all.
      network.cheats.set(mallory.name, {
        ...network.cheats.get(mallory.name),
        async stateIds(_to, room, id) {
          const { stateIds, authChainIds } = await erin.rooms.stateFor(bob.name, room, id)
          return { pduIds: stateIds, authChainIds }
        },
      })
      const via = by === 'Mallory' ? [mallory.name, erin.name] : [erin.name, mallory.name]
      await bob.rooms.join(bob.user, roomId, { via })
      await network.pass(60_000)
      expect(await membershipAt(bob, roomId, carol.user)).toBe('join')
      expect(await kit.isUnconfirmed()).toBe(true)
      kit.away(carol)
      for (const node of [bob, erin]) kit.appear(node, alice, dave)
      await network.pass(600_000)
      for (const node of [bob, erin]) await kit.expectTruth(node)
    },
  )

  it('is alike also without the events of a server that is gone with its key', async () => {
    const network = createBareNetwork()
    const add = (name: string, seed: number): Promise<BareNode> =>
      network.add(name, { signer: { ...testSigner(seed), name: `${name}.example.org` as ServerName } })
    const alice = await add('alice', 20)
    const others = [await add('dave', 21), await add('zoe', 22)]
    const roomId = await createRoom(alice, 'public')
    for (const other of others) await other.rooms.join(other.user, roomId, { via: [alice.name] })
    await network.settle()
    const zoe = others[1] as BareNode
    network.offline.add(zoe.name)
    const bob = await add('bob', 23)
    const joined = bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    await network.pass(120_000)
    await joined
    expect(await membershipAt(alice, roomId, zoe.user)).toBe('join')
    expect(await membershipAt(bob, roomId, zoe.user)).toBeUndefined()
    expect((await bob.rooms.snapshot(roomId))?.isUnconfirmed).toBeUndefined()
  })
})
