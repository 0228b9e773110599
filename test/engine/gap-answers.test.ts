/** What a server answers that is asked for a gap: what of it is believed, and what it may cost. */
import { eventIdOf, roomVersion } from '@plexus/core'
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion } from '@plexus/core'
import { GAP_BATCH, MAX_GAP_BYTES } from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { bodies, createRoom, make, nowhere, say, setTopic, stateText } from './rooms-kit.ts'
import { createStagingWorld, type StagingWorld } from './staging-kit.ts'

const version = roomVersion('12') as RoomVersion

describe('staging, asking for a gap,', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let mallory: BareNode
  let roomId: RoomId
  let stray: StagingWorld['stray']

  beforeEach(async () => {
    ;({ network, alice, bob, mallory, roomId, stray } = await createStagingWorld())
  })

  it('does not reject an honest event because one member lies about the state before it', async () => {
    network.offline.add(bob.name)
    await setTopic(alice, roomId, 'unknown to bob')
    const id = await say(alice, roomId, 'honest')
    const pdu = (await alice.rooms.event(id))?.pdu as Pdu
    await network.settle()
    network.offline.delete(bob.name)
    network.offline.add(alice.name)
    const lies = (await mallory.rooms.snapshot(roomId))?.create as Pdu
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: [] }),
      backfill: async () => ({ pdus: [] }),
      event: async () => ({ pdus: [] }),
      stateIds: async () => ({ pduIds: [eventIdOf(version, lies)], authChainIds: [] }),
    })
    await bob.rooms.receive(mallory.name, [pdu])
    await network.settle()
    expect((await bob.rooms.event(id))?.verdict).toBeUndefined()
    network.offline.delete(alice.name)
    bob.staging.kick(alice.name)
    await network.pass(5_000)
    expect(await bodies(bob, roomId)).toEqual(['honest'])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it.each([
    ['endless', 100],
    ['overlong', 300],
  ])('bounds what %s answers about a gap cost', async (_, size) => {
    let asked = 0
    const junk = async (): Promise<readonly JsonObject[]> => {
      asked += 1
      return stray(size, 1 + asked * size)
    }
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: await junk() }),
      backfill: async () => ({ pdus: await junk() }),
      event: () => Promise.reject(new Error('no')),
      stateIds: () => Promise.reject(new Error('no')),
    })
    await bob.rooms.receive(mallory.name, await stray(1))
    await network.settle()
    expect(asked).toBeLessThanOrEqual(21)
    await say(alice, roomId, 'still works')
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['still works'])
  })

  it('bounds the bytes that are fetched for one gap', async () => {
    const big = 'x'.repeat(60_000)
    const batches = Math.ceil(MAX_GAP_BYTES / (GAP_BATCH * big.length))
    const chain = [await make(mallory, alice, roomId, { prev: [nowhere(0)] })]
    while (chain.length <= batches * GAP_BATCH)
      chain.push(await make(mallory, alice, roomId, { prev: [chain.at(-1)?.id as EventId], body: big }))
    let asked = 0
    const upTo = (last: EventId | undefined): readonly JsonObject[] => {
      const end = chain.findIndex(({ id }) => id === last) + 1
      if (end > 0) asked += 1
      return chain.slice(Math.max(0, end - GAP_BATCH), end).map(({ pdu }) => pdu)
    }
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: upTo(chain.at(-1)?.id) }),
      backfill: async (_to, _room, [from]) => ({ pdus: upTo(from) }),
      event: () => Promise.reject(new Error('no')),
      stateIds: () => Promise.reject(new Error('no')),
    })
    const { pdu } = await make(mallory, alice, roomId, { prev: [chain.at(-1)?.id as EventId] })
    await bob.rooms.receive(mallory.name, [pdu])
    await network.settle()
    expect(asked).toBe(batches)
  })

  it('takes nothing of another room, and nothing that is not signed, for a gap', async () => {
    const other = await createRoom(alice)
    const foreign = await alice.rooms.event((await alice.rooms.snapshot(other))?.heads[0] as EventId)
    const { pdu: unsigned, id } = await make(mallory, alice, roomId, { body: 'unsigned' })
    const { pdu } = await make(mallory, alice, roomId, { prev: [id, foreign?.id as EventId] })
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: [foreign?.pdu as Pdu, { ...unsigned, signatures: {} }] }),
      backfill: async () => ({ pdus: [foreign?.pdu as Pdu] }),
      stateIds: async () => ({ pduIds: [foreign?.id as EventId], authChainIds: [foreign?.id as EventId] }),
      event: async () => ({ pdus: [foreign?.pdu as Pdu] }),
    })
    await bob.rooms.receive(mallory.name, [pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual([])
    expect(await bob.rooms.event(foreign?.id as EventId)).toBeUndefined()
  })
})
