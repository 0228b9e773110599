/** Invites by name, what a server signs of them, and what one that cheats can make of them. */
import {
  buildEvent,
  contentHash,
  encodeBase64,
  eventIdOf,
  memberKey,
  roomVersion,
  signingBytes,
  stateKey,
  withSignature,
} from '@plexus/core'
import type {
  EventId,
  EventTemplate,
  JsonObject,
  KeyId,
  Pdu,
  RoomId,
  RoomVersion,
  UserId,
} from '@plexus/core'
import { MAX_OTHER_INVITES } from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, say, threeServers, timeline, membershipAt } from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

let network: BareNetwork
let alice: BareNode
let bob: BareNode
let carol: BareNode
let roomId: RoomId

beforeEach(async () => {
  ;({ network, alice, bob, carol, roomId } = await threeServers())
})

describe('an invite by name', () => {
  it('stands when it comes before the answer to the knock that asked for it', async () => {
    roomId = await createRoom(alice, 'knock')
    network.cheats.set(alice.name, {
      sendKnock: async (_to, room, id, event) => {
        await alice.rooms.acceptMembership('knock', bob.name, room, id, event)
        await alice.rooms.invite(alice.user, roomId, bob.user)
        return { roomState: [] }
      },
    })
    await bob.rooms.knock(bob.user, roomId, { via: [alice.name] })
    expect(await bob.rooms.membership(bob.user, roomId)).toMatchObject({ membership: 'invite' })
  })

  it('stands when it comes while an earlier one is being refused', async () => {
    await alice.rooms.invite(alice.user, roomId, bob.user)
    network.cheats.set(alice.name, {
      makeMembership: async () => {
        await alice.rooms.invite(alice.user, roomId, bob.user, { reason: 'do come' })
        throw new Error('too slow')
      },
    })
    await bob.rooms.leave(bob.user, roomId)
    expect((await bob.rooms.membership(bob.user, roomId))?.membership).toBe('invite')
    network.cheats.clear()
    await bob.rooms.join(bob.user, roomId, { via: [] })
    expect((await bob.rooms.membership(bob.user, roomId))?.membership).toBe('join')
  })

  it('is shown to nobody when its sender may not invite', async () => {
    await bringIn(network, alice, bob, roomId)
    const content = { users: {}, invite: 50 }
    await alice.rooms.send(roomId, { type: 'm.room.power_levels', stateKey: '', sender: alice.user, content })
    await network.settle()
    await expect(bob.rooms.invite(bob.user, roomId, carol.user)).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
    })
    expect(bob.calls).not.toContain(`invite ${carol.name}`)
    expect(await carol.rooms.memberships(carol.user)).toEqual([])
  })

  it('follows a member out of the room and in again', async () => {
    const memberships = async (): Promise<unknown> =>
      (await bob.rooms.membership(bob.user, roomId))?.membership
    await alice.rooms.invite(alice.user, roomId, bob.user)
    expect(await memberships()).toBe('invite')
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    await network.settle()
    await say(alice, roomId, 'first stay')
    await network.settle()
    const kick = {
      type: 'm.room.member',
      sender: alice.user,
      stateKey: bob.user,
      content: { membership: 'leave' },
    }
    await alice.rooms.send(roomId, kick)
    await network.settle()
    expect(await bob.rooms.membership(bob.user, roomId)).toMatchObject({
      membership: 'leave',
      previous: 'join',
    })
    await say(alice, roomId, 'while away')
    await network.settle()
    await alice.rooms.invite(alice.user, roomId, bob.user)
    expect(await bob.rooms.membership(bob.user, roomId)).toMatchObject({
      membership: 'invite',
      previous: 'leave',
    })
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    await network.settle()
    expect(await memberships()).toBe('join')
    await say(alice, roomId, 'second stay')
    await network.settle()
    await say(bob, roomId, 'back')
    await network.settle()
    expect(await bodies(alice, roomId)).toEqual(['first stay', 'while away', 'second stay', 'back'])
    expect((await bodies(bob, roomId)).filter((body) => body !== 'while away')).toEqual([
      'first stay',
      'second stay',
      'back',
    ])
    expect(await membershipAt(bob, roomId, bob.user)).toBe('join')
  })

  it('does not take the place of a join that was quicker', async () => {
    roomId = await createRoom(alice, 'public')
    let meanwhile = (): Promise<unknown> => Promise.resolve()
    const dave = await network.add('dave', {
      seekUser: async () => {
        await meanwhile()
      },
    })
    meanwhile = async () => {
      meanwhile = () => Promise.resolve()
      await dave.rooms.join(dave.user, roomId, { via: [alice.name] })
    }
    const { id, pdu } = await signed(alice, invite(alice.user, dave.user))
    const made = { roomVersion: '12', event: pdu, inviteRoomState: [] }
    await dave.rooms.acceptInvite(alice.name, roomId, id, made)
    expect((await dave.rooms.membership(dave.user, roomId))?.membership).toBe('join')
  })

  it('waits on when one of another server, for the same room, is withdrawn', async () => {
    const inviteBy = async (by: BareNode, more: JsonObject = {}): Promise<EventId> => {
      const { id, pdu } = await signed(by, invite(by.user, bob.user), more)
      await bob.rooms.acceptInvite(by.name, roomId, id, {
        roomVersion: '12',
        event: pdu,
        inviteRoomState: [],
      })
      return id
    }
    const withdraw = async (by: BareNode, id: EventId): Promise<void> => {
      const leave = invite(by.user, bob.user, { membership: 'leave' })
      await bob.rooms.receive(by.name, [(await signed(by, leave, { auth_events: [id] })).pdu])
    }
    const row = (): Promise<unknown> => bob.rooms.membership(bob.user, roomId)
    const first = await inviteBy(alice)
    const second = await inviteBy(carol)
    await withdraw(carol, second)
    expect(await row()).toMatchObject({ membership: 'invite', eventId: first, sender: alice.user })
    // Whichever is withdrawn, the other stays, and another's word ends neither.
    const third = await inviteBy(carol)
    await withdraw(carol, first)
    await withdraw(alice, first)
    expect(await row()).toMatchObject({ membership: 'invite', eventId: third, others: [] })
    // One that follows another is of the same room, and takes its place.
    const fourth = await inviteBy(alice, { auth_events: [third] })
    expect(await row()).toMatchObject({ eventId: fourth, others: [] })
    for (const name of ['dave', 'erin', 'frank']) await inviteBy(await network.add(name))
    await inviteBy(carol)
    const last = await bob.rooms.membership(bob.user, roomId)
    expect(last).toMatchObject({ sender: carol.user })
    expect(last?.others).toHaveLength(MAX_OTHER_INVITES)
  })

  it('is accepted through its server, though one of another came later', async () => {
    await alice.rooms.invite(alice.user, roomId, bob.user)
    const { id, pdu } = await signed(carol, invite(carol.user, bob.user))
    const made = { roomVersion: '12', event: pdu, inviteRoomState: [] }
    await bob.rooms.acceptInvite(carol.name, roomId, id, made)
    await bob.rooms.join(bob.user, roomId, { via: [] })
    expect((await bob.rooms.membership(bob.user, roomId))?.membership).toBe('join')
  })

  it('is not made when the invited server signs something else', async () => {
    for (const signatures of [
      {},
      { [bob.name]: {} },
      { [bob.name]: { 'ed25519:1': 'AAAA' } },
      { [bob.name]: 7 },
    ]) {
      network.cheats.set(bob.name, {
        invite: async (_to, _room, _id, { event }) => ({ event: { ...event, signatures } }),
      })
      await expect(alice.rooms.invite(alice.user, roomId, bob.user)).rejects.toThrow('did not sign')
    }
    expect(await membershipAt(alice, roomId, bob.user)).toBeUndefined()
  })

  it('takes nothing but one signature from the answer', async () => {
    network.cheats.set(bob.name, {
      invite: async (_to, room, id, invite) => {
        const { event } = await bob.rooms.acceptInvite(alice.name, room, id, invite)
        const signatures = event['signatures'] as JsonObject
        const more = { 'ed25519:junk': 'x'.repeat(60_000), ...(signatures[bob.name] as JsonObject) }
        return {
          event: {
            ...event,
            content: { membership: 'join' },
            signatures: { ...signatures, [bob.name]: more, other: {} },
          },
        }
      },
    })
    await alice.rooms.invite(alice.user, roomId, bob.user)
    const event = (await timeline(alice, roomId)).at(-1)
    expect(event?.pdu.content).toEqual({ membership: 'invite' })
    expect(Object.keys(event?.pdu.signatures ?? {})).toEqual([alice.name, bob.name])
    expect(Object.keys(event?.pdu.signatures[bob.name] ?? {})).toEqual(['ed25519:1'])
  })
})

/** An event of `by`'s server, signed by it. */
async function signed(
  by: BareNode,
  template: EventTemplate,
  more: JsonObject = {},
): Promise<{ id: EventId; pdu: Pdu }> {
  const snapshot = await alice.rooms.snapshot(roomId)
  const built = {
    ...buildEvent(version, {
      template,
      roomId,
      prevEvents: (snapshot?.heads ?? []).map((id) => ({ reference: id, depth: 5 })),
      authEvents: [
        stateKey('m.room.power_levels', ''),
        memberKey(by.user),
        stateKey('m.room.join_rules', ''),
      ].flatMap((key) => snapshot?.state.get(key) ?? []),
      now: 1_700_000_000_000,
    }),
    ...more,
  } as Pdu
  const bare = { ...built, hashes: { sha256: contentHash(built) } }
  const signature = encodeBase64(await by.signer.sign(signingBytes(version, bare)))
  const pdu = withSignature(bare, by.name, by.signer.keyId as KeyId, signature)
  return { id: eventIdOf(version, pdu), pdu }
}

function invite(
  sender: UserId,
  userId: string,
  content: JsonObject = { membership: 'invite' },
): EventTemplate {
  return { type: 'm.room.member', sender, stateKey: userId, content }
}

describe('the co-signature of an invite', () => {
  const accept = async (
    made: { id: EventId; pdu: Pdu },
    more: { origin?: BareNode; roomVersion?: string; room?: RoomId } = {},
  ) =>
    bob.rooms.acceptInvite((more.origin ?? carol).name, more.room ?? roomId, made.id, {
      roomVersion: more.roomVersion ?? '12',
      event: made.pdu,
      inviteRoomState: [],
    })

  it('is given to an honest invite', async () => {
    const { event } = await accept(await signed(carol, invite(carol.user, bob.user)))
    expect(event['signatures']).toHaveProperty([bob.name])
  })

  it.each<[string, () => Promise<unknown>]>([
    ['a join', async () => accept(await signed(carol, invite(carol.user, bob.user, { membership: 'join' })))],
    [
      'a message',
      async () => accept(await signed(carol, { ...invite(carol.user, bob.user), type: 'm.room.message' })),
    ],
    [
      'power levels',
      async () =>
        accept(await signed(carol, { ...invite(carol.user, bob.user), type: 'm.room.power_levels' })),
    ],
    [
      'an invite of a user of another server',
      async () => accept(await signed(carol, invite(carol.user, alice.user))),
    ],
    ['an invite of nobody', async () => accept(await signed(carol, invite(carol.user, 'nobody')))],
    [
      'an invite by a user of another server',
      async () => accept(await signed(carol, invite(alice.user, bob.user))),
    ],
    [
      'an invite by an own user',
      async () => accept(await signed(bob, invite(bob.user, bob.user)), { origin: bob }),
    ],
    ['an own event sent back by another', async () => accept(await signed(bob, invite(bob.user, bob.user)))],
    [
      'another room',
      async () =>
        accept(await signed(carol, invite(carol.user, bob.user)), { room: await createRoom(alice) }),
    ],
    [
      'an unknown room version',
      async () => accept(await signed(carol, invite(carol.user, bob.user)), { roomVersion: '3' }),
    ],
    [
      'another event id',
      async () =>
        accept({
          ...(await signed(carol, invite(carol.user, bob.user))),
          id: `$${'A'.repeat(43)}` as EventId,
        }),
    ],
    [
      'content that does not match its hash',
      async () => {
        const made = await signed(carol, invite(carol.user, bob.user))
        return accept({ ...made, pdu: { ...made.pdu, content: { membership: 'invite', more: 1 } } })
      },
    ],
    [
      'the signature of another event',
      async () => {
        const made = await signed(carol, invite(carol.user, bob.user))
        const other = await signed(carol, invite(carol.user, bob.user, { membership: 'invite', other: 1 }))
        return accept({ ...made, pdu: { ...made.pdu, signatures: other.pdu.signatures } })
      },
    ],
  ])('is not given to %s', async (_, attempt) => {
    await expect(attempt()).rejects.toMatchObject({ name: 'RoomError' })
    expect(await bob.rooms.memberships(bob.user)).toEqual([])
  })

  it('covers nothing that redaction removes', async () => {
    const made = await signed(carol, invite(carol.user, bob.user), { extra: 'not agreed to' })
    const { event } = await accept(made)
    const signature = (event['signatures'] as Record<string, Record<string, string>>)[bob.name]
    const plain = await bob.signer.sign(signingBytes(version, made.pdu))
    expect(signature?.[bob.signer.keyId]).toBe(encodeBase64(plain))
    const { extra: _, ...without } = made.pdu as Pdu & { extra: string }
    expect(Buffer.from(signingBytes(version, without as Pdu))).toEqual(
      Buffer.from(signingBytes(version, made.pdu)),
    )
  })

  it('costs a bounded number of rows, and bytes', async () => {
    const wanted = async (index: number, state: readonly JsonObject[] = []): Promise<unknown> => {
      const made = await signed(carol, invite(carol.user, `@user${index}:${bob.name}`))
      const inviteRoomState = state
      return bob.rooms.acceptInvite(carol.name, roomId, made.id, {
        roomVersion: '12',
        event: made.pdu,
        inviteRoomState,
      })
    }
    const big = Array.from({ length: 60 }, (_, index) => ({
      type: `m.${index}`,
      sender: carol.user,
      state_key: '',
      content: { text: 'x'.repeat(60_000) },
    }))
    await wanted(0, big)
    const row = await bob.rooms.membership(`@user0:${bob.name}` as UserId, roomId)
    expect(JSON.stringify(row).length).toBeLessThan(140_000)
    expect(row?.strippedState?.at(-1)).toMatchObject({ state_key: `@user0:${bob.name}` })
    for (let index = 1; index < 50; index += 1) await wanted(index)
    await expect(wanted(50)).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    // Another server is not kept out, and an answer makes room.
    await alice.rooms.invite(alice.user, roomId, bob.user)
    network.cheats.set(carol.name, { makeMembership: () => Promise.reject(new Error('away')) })
    await bob.rooms.leave(`@user1:${bob.name}` as UserId, roomId)
    await wanted(50)
    // So does a withdrawal, and what it leaves counts.
    const withdraw = async (index: number): Promise<void> => {
      const user = `@user${index}:${bob.name}` as UserId
      const id = (await bob.rooms.membership(user, roomId))?.eventId as EventId
      const leave = await signed(carol, invite(carol.user, user, { membership: 'leave' }), {
        auth_events: [id],
      })
      await bob.rooms.receive(carol.name, [leave.pdu])
      expect((await bob.rooms.membership(user, roomId))?.membership).toBe('leave')
    }
    for (let index = 51; index < 55; index += 1) {
      await withdraw(index - 1)
      await wanted(index)
    }
    await withdraw(54)
    const rows = await bob.store.range('membership', '', '\u00ff')
    expect(rows.length).toBeLessThanOrEqual(50 + 2)
  })
})
