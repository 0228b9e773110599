/** The join of a restricted room, which this node signs beside the server of who joins: what it signs not. DESIGN section 2 */
import { memberKey, roomVersion, signingBytes, stateKey } from '@plexus/core'
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion, UserId } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { testSigner } from '../kit/keys.ts'
import { bringIn, createRoom, make } from '../engine/rooms-kit.ts'

const version = roomVersion('12') as RoomVersion
const AUTHORISER = 'join_authorised_via_users_server'

describe('a join that a user of this node is said to authorise', () => {
  let network: BareNetwork
  let alice: BareNode
  let mallory: BareNode
  /** Whose members may join `inner` and `other`, of which Mallory is one. */
  let club: RoomId
  let inner: RoomId
  let other: RoomId
  let signed: Set<string>

  const restricted = (): Promise<RoomId> => {
    const allow = [{ type: 'm.room_membership', room_id: club }]
    const initialState = [
      { type: 'm.room.member', stateKey: alice.user, content: { membership: 'join' } },
      { type: 'm.room.power_levels', stateKey: '', content: { users: {} } },
      { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'restricted', allow } },
    ]
    return alice.rooms.create({ creator: alice.user, initialState })
  }

  beforeEach(async () => {
    network = createBareNetwork()
    signed = new Set()
    const own = testSigner(1)
    const signer = {
      ...own,
      sign: (bytes: Uint8Array): Promise<Uint8Array> => {
        signed.add(Buffer.from(bytes).toString('hex'))
        return own.sign(bytes)
      },
    }
    alice = await network.add('alice', { signer })
    mallory = await network.add('mallory')
    club = await createRoom(alice)
    await bringIn(network, alice, mallory, club)
    inner = await restricted()
    other = await restricted()
  })

  type Change = {
    readonly roomId?: RoomId
    readonly sender?: UserId
    readonly stateKey?: string
    readonly type?: string
    readonly content?: JsonObject
    readonly change?: (pdu: Pdu) => JsonObject
  }

  const wanted = async ({ roomId = inner, ...change }: Change): Promise<{ id: EventId; pdu: JsonObject }> => {
    const state = (await alice.rooms.snapshot(roomId))?.state
    const keys = [
      stateKey('m.room.power_levels', ''),
      stateKey('m.room.join_rules', ''),
      memberKey(alice.user),
    ]
    const author = change.sender === undefined ? mallory : { ...mallory, user: change.sender }
    const made = await make(author, alice, roomId, {
      type: change.type ?? 'm.room.member',
      stateKey: change.stateKey ?? author.user,
      content: { membership: 'join', [AUTHORISER]: alice.user, ...change.content },
      auth: keys.flatMap((key) => state?.get(key) ?? []),
      now: network.clock.now(),
    })
    return { id: made.id, pdu: change.change?.(made.pdu) ?? made.pdu }
  }

  const isSigned = (pdu: JsonObject): boolean =>
    signed.has(Buffer.from(signingBytes(version, pdu as Pdu)).toString('hex'))

  it('is signed where it is as it should be', async () => {
    const { id, pdu } = await wanted({})
    const { event } = await alice.rooms.acceptMembership('join', mallory.name, inner, id, pdu)
    expect(isSigned(pdu)).toBe(true)
    expect(Object.keys(event['signatures'] ?? {}).toSorted()).toEqual([alice.name, mallory.name].toSorted())
  })

  it.each<[string, () => Change]>([
    ['is of another room', () => ({ roomId: other })],
    ['is of a user of this node', () => ({ sender: `@bob:${alice.name}` as UserId })],
    ['joins somebody else', () => ({ stateKey: `@other:${mallory.name}` })],
    ['joins a user of this node', () => ({ stateKey: `@bob:${alice.name}` })],
    ['is none', () => ({ content: { membership: 'leave' } })],
    ['is no membership', () => ({ type: 'm.room.topic' })],
    ['is of a user who is in none of the rooms', () => ({ sender: `@stranger:${mallory.name}` as UserId })],
    ['is said to be authorised by another server', () => ({ content: { [AUTHORISER]: mallory.user } })],
    [
      'has another content than its hash',
      () => ({ change: (pdu) => ({ ...pdu, content: { ...pdu.content, x: 1 } }) }),
    ],
  ])('is not signed where it %s', async (_, change) => {
    const { id, pdu } = await wanted(change())
    const asked = alice.rooms.acceptMembership('join', mallory.name, inner, id, pdu)
    await expect(asked).rejects.toMatchObject({ name: 'RoomError' })
    expect(isSigned(pdu)).toBe(false)
    for (const roomId of [inner, other])
      expect((await alice.rooms.snapshot(roomId))?.joinedMembers).toEqual([alice.user])
  })

  it('is not signed for a server that brings it of another', async () => {
    const carol = await network.add('carol')
    const { id, pdu } = await wanted({})
    const asked = alice.rooms.acceptMembership('join', carol.name, inner, id, pdu)
    await expect(asked).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect(isSigned(pdu)).toBe(false)
  })
})
