/**
 * DESIGN section 5 "Inbound": "The event id does not cover signatures, `unsigned` or redactable content: a copy that failed
 * its content hash is kept redacted and marked, never forwarded, and replaced when a matching copy comes; …
 * `unsigned` from the network is dropped."
 */
import { stateKey } from '@plexus/core'
import type { EventId, JsonObject, Pdu, RoomId } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, make, say } from '../engine/rooms-kit.ts'

const ENCRYPTION = stateKey('m.room.encryption', '')

describe('a copy of an event', { timeout: 30_000 }, () => {
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

  /** An event of Alice's that did not reach Bob. */
  const unseen = async (body = 'true'): Promise<{ id: EventId; pdu: Pdu }> => {
    network.offline.add(bob.name)
    const id = await say(alice, roomId, body)
    await network.settle()
    network.offline.delete(bob.name)
    return { id, pdu: (await alice.rooms.event(id))?.pdu as Pdu }
  }
  const forged = (pdu: Pdu): JsonObject => ({ ...pdu, content: { msgtype: 'm.text', body: 'forged' } })
  const toldBy = async (node: BareNode, id: EventId): Promise<readonly unknown[]> => {
    const query = { earliest: [], latest: [], limit: 100, minDepth: 0 }
    const heads = (await node.rooms.snapshot(roomId))?.heads ?? []
    return [
      await node.rooms.eventFor(mallory.name, id).then(
        ({ content }) => content,
        () => 'not told',
      ),
      ...(await node.rooms.backfillFor(mallory.name, roomId, heads, 100)),
      ...(await node.rooms.missingEvents(mallory.name, roomId, { ...query, latest: heads })),
    ].map((told) => JSON.stringify(told))
  }

  it('brings no `unsigned` from the network, and passes none on', async () => {
    const { id, pdu } = await unseen()
    const unsigned = { age: -1, redacted_because: pdu, prev_content: { body: 'lie' }, membership: 'ban' }
    await bob.rooms.receive(mallory.name, [{ ...pdu, unsigned }])
    await network.settle()
    expect((await bob.rooms.event(id))?.pdu).toEqual(pdu)
    expect(await bodies(bob, roomId)).toEqual(['true'])
    expect((await toldBy(bob, id)).join()).not.toContain('lie')
  })

  it.each<[string, (pdu: Pdu) => JsonObject]>([
    ['without its signatures', (pdu) => ({ ...pdu, signatures: {} })],
    ['with the signature of another server alone', (pdu) => ({ ...pdu, signatures: { [mallory.name]: {} } })],
    [
      'whose one signature hides behind useless ones',
      (pdu) => ({
        ...pdu,
        signatures: {
          [alice.name]: {
            ...Object.fromEntries(
              Array.from({ length: 9 }, (_, index) => [`ed25519:a${index}`, 'A'.repeat(86)]),
            ),
            ...pdu.signatures[alice.name],
          },
        },
      }),
    ],
  ])('%s is dropped, and does not keep the whole one out', async (_, change) => {
    const { id, pdu } = await unseen()
    expect(await bob.rooms.receive(mallory.name, [change(pdu)])).toEqual({})
    await network.settle()
    expect(await bob.rooms.event(id)).toBeUndefined()
    expect(await bob.rooms.receive(mallory.name, [pdu])).toEqual({ [id]: {} })
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['true'])
  })

  it('that is known takes away no signature and adds none', async () => {
    const { id, pdu } = await unseen()
    await bob.rooms.receive(alice.name, [pdu])
    for (const signatures of [
      {},
      { [alice.name]: {} },
      { ...pdu.signatures, [mallory.name]: { 'ed25519:1': 'A'.repeat(86) } },
    ])
      await bob.rooms.receive(mallory.name, [{ ...pdu, signatures }])
    await network.settle()
    expect((await bob.rooms.event(id))?.pdu.signatures).toEqual(pdu.signatures)
  })

  it('that failed its content hash is never forwarded, and replaced when a matching copy comes', async () => {
    const { id, pdu } = await unseen()
    await bob.rooms.receive(mallory.name, [forged(pdu)])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual([undefined])
    expect(await toldBy(bob, id)).not.toContain(JSON.stringify(pdu.content))
    expect((await toldBy(bob, id)).join()).not.toContain('forged')
    expect((await toldBy(bob, id))[0]).toBe('"not told"')
    await bob.rooms.receive(mallory.name, [forged(pdu)])
    await bob.rooms.receive(alice.name, [pdu])
    await bob.rooms.receive(mallory.name, [forged(pdu)])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['true'])
    expect((await toldBy(bob, id))[0]).toBe(JSON.stringify(pdu.content))
  })

  it('that failed its content hash in the answer about a gap is replaced when a matching copy comes', async () => {
    const { id, pdu } = await unseen()
    network.cheats.set(mallory.name, {
      getMissingEvents: async () => ({ events: [forged(pdu)] }),
      event: async () => ({ pdus: [forged(pdu)] }),
      backfill: async () => ({ pdus: [forged(pdu)] }),
    })
    network.offline.add(alice.name)
    const later = await make(mallory, mallory, roomId, { prev: [id], body: 'later' })
    await bob.rooms.receive(mallory.name, [later.pdu])
    await network.pass(60_000)
    expect(await bodies(bob, roomId)).toEqual([undefined, 'later'])
    network.offline.delete(alice.name)
    await bob.rooms.receive(alice.name, [pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['true', 'later'])
  })

  it('that a resident server stripped of its content is fetched whole from another member', async () => {
    await alice.rooms.send(roomId, {
      type: 'm.room.encryption',
      stateKey: '',
      sender: alice.user,
      content: { algorithm: 'm.megolm.v1.aes-sha2' },
    })
    await network.settle()
    const carol = await network.add('carol')
    network.cheats.set(mallory.name, {
      sendJoin: async (_to, room, id, event) => {
        const told = await mallory.rooms.acceptMembership('join', carol.name, room, id, event)
        const strip = (pdu: JsonObject): JsonObject =>
          pdu['type'] === 'm.room.encryption' ? { ...pdu, content: {} } : pdu
        return { state: told.state.map(strip), authChain: told.authChain }
      },
    })
    await carol.rooms.join(carol.user, roomId, { via: [mallory.name] })
    const encryption = (await carol.rooms.snapshot(roomId))?.state.get(ENCRYPTION) as EventId
    expect((await carol.rooms.event(encryption))?.pdu.content).toHaveProperty('algorithm')
  })
})
