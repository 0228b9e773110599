/** Events that nobody can place: what they cost, and that they keep no honest ones waiting. */
import type { Pdu, RoomId } from '@plexus/core'
import { LAST_RETRY_MS } from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, say } from './rooms-kit.ts'
import { createStagingWorld, never, turns, until, type StagingWorld } from './staging-kit.ts'

describe('staging, where a server brings what nobody can place,', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let mallory: BareNode
  let roomId: RoomId
  let reads: string[]
  let stray: StagingWorld['stray']

  beforeEach(async () => {
    ;({ network, alice, bob, mallory, roomId, reads, stray } = await createStagingWorld())
  })

  it('decides honest events at once, whatever undecidable ones wait and however silent their server is', async () => {
    network.cheats.set(mallory.name, { getMissingEvents: never, backfill: never, event: never })
    for (let from = 0; from < 500; from += 50) await bob.rooms.receive(mallory.name, await stray(50, from))
    await until(() => bob.calls.includes(`getMissingEvents ${mallory.name}`))
    reads.length = 0
    const calls = bob.calls.length
    for (let index = 0; index < 20; index += 1) await say(alice, roomId, `honest ${index}`)
    await until(async () => (await bodies(bob, roomId)).length === 20)
    expect(bob.calls.length - calls).toBeLessThan(10)
    expect(reads.filter((read) => !read.includes('timeline')).length).toBeLessThan(100)
  })

  it('fills the gap of an honest server after one of a hostile one that has hundreds', async () => {
    const waiting: (() => void)[] = []
    network.cheats.set(mallory.name, {
      getMissingEvents: () => new Promise((_, reject) => waiting.push(() => reject(new Error('too late')))),
    })
    await bob.rooms.receive(mallory.name, await stray(50))
    await until(() => waiting.length === 1)
    network.offline.add(bob.name)
    await say(alice, roomId, 'missed')
    const id = await say(alice, roomId, 'newest')
    await turns(20)
    network.offline.delete(bob.name)
    await bob.rooms.receive(alice.name, [(await alice.rooms.event(id))?.pdu as Pdu])
    expect(await bodies(bob, roomId)).toEqual([])
    waiting[0]?.()
    await until(async () => (await bodies(bob, roomId)).length === 2)
    expect(waiting.length).toBeLessThanOrEqual(2)
  })

  it('fills the gap of an honest server also where a hostile one that has many brought its event first', async () => {
    network.cheats.set(mallory.name, {
      getMissingEvents: () => Promise.reject(new Error('no')),
      event: () => Promise.reject(new Error('no')),
    })
    network.offline.add(bob.name)
    await say(alice, roomId, 'missed')
    const id = await say(alice, roomId, 'newest')
    await network.settle()
    network.offline.delete(bob.name)
    network.offline.add(alice.name)
    const { pdu } = (await alice.rooms.event(id)) ?? {}
    await bob.rooms.receive(mallory.name, [...(await stray(50)), pdu as Pdu])
    await network.pass(3 * LAST_RETRY_MS)
    network.offline.delete(alice.name)
    await bob.rooms.receive(alice.name, [pdu as Pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['missed', 'newest'])
    expect(bob.staging.holds(roomId, id)).toBe(false)
  })

  it('asks little for the gaps of a server that nobody can fill', async () => {
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: [] }),
      backfill: async () => ({ pdus: [] }),
      state: async () => ({ pdus: [], authChain: [] }),
      stateIds: () => Promise.reject(new Error('no')),
    })
    for (let from = 0; from < 200; from += 50) await bob.rooms.receive(mallory.name, await stray(50, from))
    const before = bob.calls.length
    await network.pass(3_600_000)
    // Five gaps after each of the 14 pauses of 1, 2, 4, … 900 seconds, at most five requests to each of two others.
    expect(bob.calls.length - before).toBeLessThanOrEqual(15 * 5 * 5 * 2)
    expect(network.clock.waiting).toBe(1)
  })

  it('bounds what one server can have wait, and keeps no other out', async () => {
    network.cheats.set(mallory.name, { getMissingEvents: never })
    network.cheats.set(alice.name, { getMissingEvents: never })
    const send = async (count: number, from: number): Promise<void> => {
      await bob.rooms.receive(mallory.name, await stray(count, from))
    }
    for (let from = 0; from < 1_000; from += 50) await send(50, from)
    await expect(send(1, 1_000)).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    await say(alice, roomId, 'honest')
    await until(async () => (await bodies(bob, roomId)).length === 1)
    // After a day in vain the old ones make room for new ones.
    const dayAfter = network.clock.now() + 86_400_001
    while (network.clock.fire(dayAfter));
    await send(50, 2_000)
    await expect(send(50, 3_000)).resolves.toBeUndefined()
  })

  it('bounds the bytes that one server can have wait, in all rooms together', async () => {
    network.cheats.set(mallory.name, { getMissingEvents: never })
    const second = await createRoom(alice)
    await bringIn(network, alice, bob, second)
    await bringIn(network, alice, mallory, second)
    const body = 'x'.repeat(50_000)
    let taken = 0
    const fill = async (): Promise<void> => {
      for (let from = 0; from < 1_000; from += 50) {
        const pdus = await stray(50, from, { roomId: from % 100 === 0 ? roomId : second, body })
        await bob.rooms.receive(mallory.name, pdus)
        taken += 50
      }
    }
    await expect(fill()).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    expect(taken).toBe(300)
    // Nor by whole copies of events that it brought as redacted ones.
    const whole = await stray(50, 2_000, { body })
    await bob.rooms.receive(
      mallory.name,
      whole.map((pdu) => ({ ...pdu, content: {} })),
    )
    await expect(bob.rooms.receive(mallory.name, whole)).rejects.toMatchObject({
      errcode: 'M_LIMIT_EXCEEDED',
    })
    await bob.rooms.receive(alice.name, whole)
    await say(alice, roomId, 'honest')
    await until(async () => (await bodies(bob, roomId)).length === 1)
  })
})
