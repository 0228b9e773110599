/** Events that are dated far ahead: by a clock that is wrong, or by who lies. */
import type { EventId, RoomId } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import type { Signer } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { testSigner } from '../kit/keys.ts'
import { bodies, bringIn, createRoom, make } from './rooms-kit.ts'

const WEEK_MS = 604_800_000

let network: BareNetwork
let alice: BareNode
let bob: BareNode
let mallory: BareNode
let roomId: RoomId

async function setUp(signerOf: (seed: number) => Signer): Promise<void> {
  network = createBareNetwork()
  alice = await network.add('alice', { signer: signerOf(1) })
  bob = await network.add('bob', { signer: signerOf(2) })
  mallory = await network.add('mallory', { signer: signerOf(3) })
  roomId = await createRoom(alice)
  await bringIn(network, alice, bob, roomId)
  await bringIn(network, alice, mallory, roomId)
}

function withSuffix(seed: number): Signer {
  const signer = testSigner(seed)
  return { ...signer, name: nameOfKey(signer.publicKey, 'gw.example') }
}

describe('where ordinary homeservers can be', () => {
  beforeEach(() => setUp(withSuffix))

  it('lets events that are dated more than a week ahead wait for their time', async () => {
    const now = network.clock.now()
    const early = await make(mallory, alice, roomId, { now: now + WEEK_MS - 60_000, body: 'in time' })
    const late = await make(mallory, alice, roomId, { now: now + WEEK_MS + 3_600_000, body: 'ahead' })
    expect(await bob.rooms.receive(mallory.name, [early.pdu, late.pdu])).toEqual({
      [early.id]: {},
      [late.id]: {},
    })
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['in time'])
    await network.pass(3_700_000)
    expect(await bodies(bob, roomId)).toEqual(['in time', 'ahead'])
  })

  it('lets events that are dated ahead make room for others of their server after a day', async () => {
    const send = async (count: number, from: number, now?: number): Promise<void> => {
      const made = await Promise.all(
        Array.from({ length: count }, (_, index) =>
          make(mallory, alice, roomId, { body: `${from + index}`, ...(now === undefined ? {} : { now }) }),
        ),
      )
      await bob.rooms.receive(
        mallory.name,
        made.map(({ pdu }) => pdu),
      )
    }
    // A clock that was a year ahead for a while.
    const ahead = network.clock.now() + 52 * WEEK_MS
    for (let from = 0; from < 1_000; from += 50) await send(50, from, ahead)
    await expect(send(1, 1_000)).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    await network.pass(86_400_001)
    await send(1, 1_001)
    expect(await bodies(bob, roomId)).toEqual(['1001'])
  })

  it('takes no event that is dated more than a week ahead for a gap either', async () => {
    const [head] = (await alice.rooms.snapshot(roomId))?.heads ?? []
    const ahead = await make(mallory, alice, roomId, {
      prev: [head as EventId],
      now: network.clock.now() + WEEK_MS + 60_000,
    })
    const { pdu } = await make(mallory, alice, roomId, { prev: [ahead.id], body: 'follows it' })
    network.cheats.set(mallory.name, { getMissingEvents: async () => ({ events: [ahead.pdu] }) })
    network.offline.add(alice.name)
    await bob.rooms.receive(mallory.name, [pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual([])
    await network.pass(1_000_000)
    expect(await bodies(bob, roomId)).toEqual(['made', 'follows it'])
  })
})

describe('where no ordinary homeserver can be', () => {
  beforeEach(() => setUp(testSigner))

  it('they are taken at once, and what follows them too', async () => {
    const ahead = await make(mallory, alice, roomId, {
      now: network.clock.now() + 52 * WEEK_MS,
      body: 'ahead',
    })
    await bob.rooms.receive(mallory.name, [ahead.pdu])
    const next = await make(mallory, alice, roomId, { prev: [ahead.id], body: 'in time' })
    await bob.rooms.receive(mallory.name, [next.pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['ahead', 'in time'])
  })
})
