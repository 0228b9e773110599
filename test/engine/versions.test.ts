/** Rooms of every version between three nodes: made, joined, forked, merged, redacted, left. */
import {
  buildEvent,
  contentHash,
  CREATE_KEY,
  DEFAULT_ROOM_VERSION,
  encodeBase64,
  eventIdOf,
  memberKey,
  ROOM_VERSIONS,
  roomVersion,
  signingBytes,
  stateKey,
  withSignature,
} from '@plexus/core'
import type { EventId, KeyId, RoomId, RoomVersion } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { BareNode } from '../kit/bare-rooms.ts'
import { createBareNetwork } from '../kit/bare-rooms.ts'
import { bodies, bringIn, expectAncestorsFirst, initialState, say, setTopic, stateText } from './rooms-kit.ts'

/** As a client would ask for it: creators are listed where they do not stand above all levels. */
function createRoomOf(node: BareNode, version: string): Promise<RoomId> {
  const users = version === '12' ? {} : { [node.user]: 100 }
  const state = initialState(node.user).map((event) =>
    event.type === 'm.room.power_levels' ? { ...event, content: { users, state_default: 0 } } : event,
  )
  return node.rooms.create({ creator: node.user, version, initialState: state })
}

describe.each(ROOM_VERSIONS)('a room of version %s', (version) => {
  it('is the same for all who are in it', async () => {
    const network = createBareNetwork()
    const [alice, bob, carol] = [
      await network.add('alice'),
      await network.add('bob'),
      await network.add('carol'),
    ]
    const roomId = await createRoomOf(alice, version)
    expect(roomId.includes(':')).toBe(version !== '12')
    await bringIn(network, alice, bob, roomId)
    await bringIn(network, alice, carol, roomId)
    expect((await bob.rooms.snapshot(roomId))?.version.id).toBe(version)

    await say(alice, roomId, 'one')
    await network.settle()
    // All at once, so that what each sends follows none of the others.
    await Promise.all([
      setTopic(alice, roomId, 'a'),
      setTopic(bob, roomId, 'b'),
      setTopic(carol, roomId, 'c'),
    ])
    await network.settle()
    expect((await bob.rooms.snapshot(roomId))?.heads.length).toBeGreaterThan(1)
    const last = await say(bob, roomId, 'two')
    await network.settle()
    for (const node of [alice, bob, carol]) {
      expect(await bodies(node, roomId)).toEqual(['one', 'two'])
      expect(await stateText(node, roomId)).toBe(await stateText(alice, roomId))
      await expectAncestorsFirst(node, roomId)
    }

    await alice.rooms.send(roomId, {
      type: 'm.room.redaction',
      sender: alice.user,
      content: {},
      redacts: last,
    })
    await network.settle()
    for (const node of [alice, bob, carol]) expect(await bodies(node, roomId)).toEqual(['one', undefined])

    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    expect((await carol.rooms.snapshot(roomId))?.joinedServers).not.toContain(bob.name)
  })
})

it('takes no other event for a copy of one whose id it carries, in version 1', async () => {
  const network = createBareNetwork()
  const [alice, bob] = [await network.add('alice'), await network.add('bob')]
  const roomId = await createRoomOf(alice, '1')
  await bringIn(network, alice, bob, roomId)
  network.offline.add(bob.name)
  const [record] = await alice.rooms.events([await say(alice, roomId, 'first')])
  const { pdu, id } = record ?? { pdu: undefined, id: undefined }
  if (pdu === undefined || id === undefined) throw new Error('the event is not there')

  // What is kept of a copy that was changed on the way is redacted.
  await bob.rooms.receive(alice.name, [{ ...pdu, content: { body: 'forged' } }])
  await network.settle()
  expect((await bob.rooms.events([id]))[0]).toMatchObject({ hashMismatch: true, pdu: { content: {} } })

  // Another event of the same server under the same id, whole and signed.
  const changed = { ...pdu, content: { body: 'other' } }
  const hashed = { ...changed, hashes: { sha256: contentHash(changed) }, signatures: {} }
  const version = roomVersion('1') as RoomVersion
  const signature = encodeBase64(await alice.signer.sign(signingBytes(version, hashed)))
  const other = withSignature(hashed, alice.name, alice.signer.keyId as KeyId, signature)
  await bob.rooms.receive(alice.name, [other])
  await network.settle()
  expect((await bob.rooms.events([id]))[0]).toMatchObject({ hashMismatch: true, pdu: { content: {} } })

  await bob.rooms.receive(alice.name, [pdu])
  await network.settle()
  expect(await bodies(bob, roomId)).toEqual(['first'])
})

it('keeps its create event, which tells its version, whoever redacts it', async () => {
  const network = createBareNetwork()
  const [alice, bob, carol] = [
    await network.add('alice'),
    await network.add('bob'),
    await network.add('carol'),
  ]
  const roomId = await createRoomOf(alice, '6')
  await bringIn(network, alice, bob, roomId)
  const snapshot = await bob.rooms.snapshot(roomId)
  const create = snapshot?.state.get(CREATE_KEY) as EventId
  const redaction = { type: 'm.room.redaction', sender: alice.user, content: {}, redacts: create }
  await expect(alice.rooms.send(roomId, redaction)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })

  const version = roomVersion('6') as RoomVersion
  const [head] = await bob.rooms.events(snapshot?.heads ?? [])
  if (head === undefined) throw new Error('the room has no head')
  const bare = buildEvent(version, {
    template: redaction,
    roomId,
    prevEvents: [{ reference: head.id, depth: head.pdu.depth }],
    authEvents: [CREATE_KEY, stateKey('m.room.power_levels', ''), memberKey(alice.user)].flatMap(
      (key) => snapshot?.state.get(key) ?? [],
    ),
    now: network.clock.now(),
  })
  const signature = encodeBase64(await alice.signer.sign(signingBytes(version, bare)))
  const forced = withSignature(bare, alice.name, alice.signer.keyId as KeyId, signature)
  await bob.rooms.receive(alice.name, [forced])
  await network.settle()
  expect((await bob.rooms.event(eventIdOf(version, forced)))?.verdict).toBe('accepted')
  expect((await bob.rooms.event(create))?.pdu.content).toMatchObject({ room_version: '6' })
  const hidden = { type: 'm.room.history_visibility', stateKey: '', sender: alice.user }
  await alice.rooms.send(roomId, { ...hidden, content: { history_visibility: 'joined' } })
  await network.settle()
  await bringIn(network, bob, carol, roomId)
  expect((await carol.rooms.snapshot(roomId))?.version.id).toBe('6')
  // Bob did not see it happen, and others may not see what came before them.
  expect((await bob.rooms.eventFor(carol.name, create)).content).toMatchObject({ room_version: '6' })
})

it('is made when none is asked for', () => {
  expect(ROOM_VERSIONS).toContain(DEFAULT_ROOM_VERSION)
})
