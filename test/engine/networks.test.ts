/** Rooms do not mix nodes without a DNS name and ordinary homeservers, whoever asks whom. DESIGN section 2 */
import { stateKey } from '@plexus/core'
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { dnsSigner } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import { createRoom, make, populate } from './rooms-kit.ts'

const MIXED = { errcode: 'M_FORBIDDEN', message: expect.stringContaining('ordinary homeserver') as string }
const VERSIONS = ['12']

describe('a room', () => {
  let network: BareNetwork
  /** A node without a DNS name, one with both, an ordinary homeserver. */
  let bare: BareNode
  let both: BareNode
  let stock: BareNode
  let pairs: readonly (readonly [inside: BareNode, outside: BareNode])[]

  beforeEach(async () => {
    network = createBareNetwork()
    bare = await network.add('bare', { signer: testSigner(1) })
    const { publicKey } = testSigner(2)
    both = await network.add('both', {
      signer: { ...testSigner(2), name: nameOfKey(publicKey, 'gw.example') },
    })
    stock = await network.add('stock', { signer: dnsSigner('stock.example', 3) })
    pairs = [
      [bare, stock],
      [stock, bare],
    ]
  })

  /** A room that `host` made and `both` joined. */
  async function roomOf(host: BareNode, joinRule = 'public'): Promise<RoomId> {
    const roomId = await createRoom(host, joinRule)
    await host.rooms.invite(host.user, roomId, both.user)
    await both.rooms.join(both.user, roomId, { via: [host.name] })
    await network.settle()
    return roomId
  }

  it('takes nodes that have both kinds of name beside either', async () => {
    for (const host of [bare, stock]) {
      const roomId = await roomOf(host)
      const servers = (await host.rooms.snapshot(roomId))?.joinedServers
      expect(servers).toEqual([host.name, both.name].toSorted())
    }
  })

  it('has no invites between the two, by whomever', async () => {
    for (const [inside, outside] of pairs) {
      const roomId = await roomOf(inside)
      for (const inviter of [inside, both]) {
        const invite = inviter.rooms.invite(inviter.user, roomId, outside.user)
        await expect(invite).rejects.toMatchObject(MIXED)
        const content = { membership: 'invite' }
        const event = { type: 'm.room.member', sender: inviter.user, stateKey: outside.user, content }
        await expect(inviter.rooms.send(roomId, event)).rejects.toMatchObject(MIXED)
      }
    }
  })

  it('has none of who is invited only either', async () => {
    const roomId = await createRoom(both)
    await both.rooms.invite(both.user, roomId, bare.user)
    await expect(both.rooms.invite(both.user, roomId, stock.user)).rejects.toMatchObject(MIXED)
    await bare.rooms.leave(bare.user, roomId)
    await network.settle()
    await both.rooms.invite(both.user, roomId, stock.user)
  })

  it('is not joined by the other kind, through whomever', async () => {
    for (const [inside, outside] of pairs) {
      const roomId = await roomOf(inside)
      for (const resident of [inside, both])
        await expect(
          outside.rooms.join(outside.user, roomId, { via: [resident.name] }),
        ).rejects.toMatchObject(MIXED)
      const made = await make(outside, both, roomId, {
        type: 'm.room.member',
        stateKey: outside.user,
        content: { membership: 'join' },
        now: network.clock.now(),
      })
      await expect(
        both.rooms.acceptMembership('join', outside.name, roomId, made.id, made.pdu),
      ).rejects.toMatchObject(MIXED)
    }
  })

  it('is not knocked on by the other kind, through whomever', async () => {
    for (const [inside, outside] of pairs) {
      const roomId = await roomOf(inside, 'knock')
      const template = both.rooms.makeMembership('knock', outside.name, roomId, outside.user, VERSIONS)
      await expect(template).rejects.toMatchObject(MIXED)
      for (const resident of [inside, both])
        await expect(
          outside.rooms.knock(outside.user, roomId, { via: [resident.name] }),
        ).rejects.toMatchObject(MIXED)
    }
  })

  it('is not entered by an invite that one kind asks the other to sign', async () => {
    for (const [inside, outside] of pairs) {
      const roomId = await roomOf(inside)
      const target: UserId = outside.user
      const { pdu, id } = await make(inside, inside, roomId, {
        type: 'm.room.member',
        stateKey: target,
        content: { membership: 'invite' },
        now: network.clock.now(),
      })
      const signing = outside.rooms.acceptInvite(inside.name, roomId, id, {
        roomVersion: '12',
        event: pdu,
        inviteRoomState: [],
      })
      await expect(signing).rejects.toMatchObject(MIXED)
    }
  })
  it('is left when it turns out to have a member of the other kind', async () => {
    const roomId = await roomOf(stock)
    await populate(stock, roomId, 60)
    await network.settle()
    const snapshot = await both.rooms.snapshot(roomId)
    const records = await both.rooms.events([...(snapshot?.state.values() ?? [])])
    const pdus = records.flatMap((record) => (record === undefined ? [] : [record.pdu]))
    const [others, members] = [false, true].map((isMember) =>
      pdus.filter(({ type }) => (type === 'm.room.member') === isMember),
    )
    const auth = ['m.room.power_levels', 'm.room.join_rules'].map((type) =>
      snapshot?.state.get(stateKey(type, '')),
    )
    // Who lets it in does not say who else is there.
    network.cheats.set(both.name, {
      makeMembership: async () => ({
        roomVersion: '12',
        event: { prev_events: snapshot?.heads, auth_events: auth } as JsonObject,
      }),
      sendJoin: async (_to, _room, _id, event) => {
        await both.rooms.receive(bare.name, [event])
        const authChain = members?.filter(({ sender }) => sender === stock.user)
        return structuredClone({ state: others, authChain, serversInRoom: [both.name] }) as never
      },
    })
    await bare.rooms.join(bare.user, roomId, { via: [both.name] })
    expect(await bare.rooms.membership(bare.user, roomId)).toMatchObject({ membership: 'join' })
    await network.pass(60_000)
    expect(await bare.rooms.membership(bare.user, roomId)).toMatchObject({ membership: 'leave' })
    expect((await both.rooms.snapshot(roomId))?.joinedServers).not.toContain(bare.name)
  })
})
