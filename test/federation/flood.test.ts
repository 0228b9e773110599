/** The flood of one peer does not slow the others by more than half, and costs it more than us. */
import type { Pdu, RoomId } from '@plexus/core'
import { MAX_WAITING_TRANSACTIONS } from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, make, nowhere } from '../engine/rooms-kit.ts'

/** As many as one link carries at once. */
const FLOOD = 64
const HONEST = 5
const EVENTS = 10

describe('a flood', { timeout: 60_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let mallory: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    network = createBareNetwork()
    alice = await network.add('alice')
    bob = await network.add('bob')
    mallory = await network.add('mallory')
    roomId = await createRoom(alice, 'public')
    await bringIn(network, alice, bob, roomId)
    await bringIn(network, alice, mallory, roomId)
  })

  const eventsOf = async (node: BareNode, count: number): Promise<readonly Pdu[]> => {
    const pdus: Pdu[] = []
    while (pdus.length < count) {
      const prev = node === mallory ? [nowhere(pdus.length)] : undefined
      const made = await make(node, alice, roomId, {
        body: `${pdus.length}`,
        now: network.clock.now(),
        ...(prev === undefined ? {} : { prev }),
      })
      pdus.push(made.pdu)
    }
    return pdus
  }
  const batches = (pdus: readonly Pdu[]): readonly (readonly Pdu[])[] =>
    Array.from({ length: pdus.length / EVENTS }, (_, index) =>
      pdus.slice(index * EVENTS, (index + 1) * EVENTS),
    )

  it('of transactions is taken one at a time, beside those of others, and refused beyond a few', async () => {
    const honest = batches(await eventsOf(alice, HONEST * EVENTS))
    const hostile = batches(await eventsOf(mallory, FLOOD * EVENTS))
    let done = 0
    let refused = 0
    const flood = hostile.map((pdus) =>
      bob.inbound.transaction({ origin: mallory.name, pdus, edus: [] }).then(
        () => (done += 1),
        (error: unknown) => {
          expect(error).toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
          refused += 1
        },
      ),
    )
    for (const pdus of honest) {
      const before = done
      await bob.inbound.transaction({ origin: alice.name, pdus, edus: [] })
      // One that was under way, and one that had its turn meanwhile.
      expect(done - before).toBeLessThanOrEqual(2)
    }
    // Half of what was taken in was honest.
    expect(done).toBeLessThanOrEqual(HONEST + 1)
    await Promise.all(flood)
    expect({ done, refused }).toEqual({
      done: MAX_WAITING_TRANSACTIONS,
      refused: FLOOD - MAX_WAITING_TRANSACTIONS,
    })
    await network.settle()
    expect(await bodies(bob, roomId)).toHaveLength(HONEST * EVENTS)
    // Who was refused can send again.
    await expect(
      bob.inbound.transaction({ origin: mallory.name, pdus: [], edus: [] }),
    ).resolves.toMatchObject({ pdus: {} })
  })
})
