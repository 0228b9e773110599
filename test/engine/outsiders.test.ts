/** Invites and knocks of users in rooms that their node is not in: what of others ends them. */
import type { EventId, JsonObject, Pdu, RoomId, ServerName, UserId } from '@plexus/core'
import { memberKey } from '@plexus/core'
import { createCommitter, createOutsiders } from '@plexus/engine/testing'
import { createMemoryStore } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bringIn, createRoom, say } from './rooms-kit.ts'

let network: BareNetwork
let alice: BareNode
let bob: BareNode
let carol: BareNode

beforeEach(async () => {
  network = createBareNetwork()
  alice = await network.add('alice')
  bob = await network.add('bob')
  carol = await network.add('carol')
})

const row = async (roomId: RoomId): Promise<unknown> => bob.rooms.membership(bob.user, roomId)
const send = (node: BareNode, roomId: RoomId, membership: string, reason = ''): Promise<unknown> =>
  node.rooms.send(roomId, {
    type: 'm.room.member',
    sender: node.user,
    stateKey: bob.user,
    content: { membership, reason },
  })
/** The newest event that says of Bob what his membership is, as a member of the room has it. */
async function newest(node: BareNode, roomId: RoomId): Promise<Pdu> {
  const id = (await node.rooms.snapshot(roomId))?.state.get(memberKey(bob.user)) as EventId
  return (await node.rooms.event(id))?.pdu as Pdu
}
const bring = (origin: ServerName, pdu: JsonObject): Promise<unknown> =>
  bob.inbound.transaction({ origin, pdus: [pdu], edus: [] })

/** Carol is in the room, and may do there what Alice may. */
async function twoAdmins(): Promise<RoomId> {
  const roomId = await createRoom(alice)
  await bringIn(network, alice, carol, roomId)
  const content = { users: { [carol.user]: 100 } }
  await alice.rooms.send(roomId, { type: 'm.room.power_levels', stateKey: '', sender: alice.user, content })
  await network.settle()
  return roomId
}

describe('from outside of a room', () => {
  it.each(['leave', 'ban'])('an invite is withdrawn by a %s', async (membership) => {
    const roomId = await createRoom(alice)
    await alice.rooms.invite(alice.user, roomId, bob.user)
    await send(alice, roomId, membership)
    await network.settle()
    expect(await row(roomId)).toMatchObject({ membership, previous: 'invite', sender: alice.user })
    expect(await row(roomId)).toMatchObject({
      strippedState: [{ sender: alice.user, state_key: bob.user, content: { membership } }],
    })
    // The server hears of nothing else.
    const calls = alice.calls.length
    await say(alice, roomId, 'among us')
    await network.settle()
    expect(alice.calls.slice(calls)).not.toContain(`send ${bob.name}`)
  })

  it.each(['leave', 'ban'])(
    'a knock is refused by a %s, and can be repeated after a mere refusal',
    async (membership) => {
      const roomId = await createRoom(alice, 'knock')
      await bob.rooms.knock(bob.user, roomId, { via: [alice.name] })
      await send(alice, roomId, membership)
      await network.settle()
      expect(await row(roomId)).toMatchObject({ membership, previous: 'knock' })
      const again = bob.rooms.knock(bob.user, roomId, { via: [alice.name] })
      if (membership === 'ban') return expect(again).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
      await again
      expect(await row(roomId)).toMatchObject({ membership: 'knock' })
    },
  )

  it('a knock keeps a bounded part of what is told of the room', async () => {
    const roomId = await createRoom(alice, 'knock')
    const roomState = Array.from({ length: 60 }, (_, index) => ({
      type: `m.${index}`,
      sender: alice.user,
      state_key: '',
      content: { text: 'x'.repeat(60_000) },
    }))
    network.cheats.set(alice.name, { sendKnock: async () => ({ roomState }) })
    await bob.rooms.knock(bob.user, roomId, { via: [alice.name] })
    const kept = await bob.rooms.membership(bob.user, roomId)
    expect(JSON.stringify(kept).length).toBeLessThan(140_000)
    expect(kept?.strippedState?.at(-1)).toMatchObject({ state_key: bob.user })
  })

  it('an invite of another stay is withdrawn', async () => {
    const roomId = await createRoom(alice)
    await bringIn(network, alice, bob, roomId)
    await send(alice, roomId, 'leave')
    await network.settle()
    await alice.rooms.invite(alice.user, roomId, bob.user)
    await send(alice, roomId, 'leave')
    await network.settle()
    expect(await row(roomId)).toMatchObject({ membership: 'leave', previous: 'invite' })
  })

  it('who made the room is believed, and no other member than who invited', async () => {
    const roomId = await twoAdmins()
    await carol.rooms.invite(carol.user, roomId, bob.user)
    await network.settle()
    await send(alice, roomId, 'leave')
    await network.settle()
    expect(await row(roomId)).toMatchObject({ membership: 'leave', sender: alice.user })
    await alice.rooms.invite(alice.user, roomId, bob.user)
    await network.settle()
    await send(carol, roomId, 'leave')
    await network.settle()
    expect((await newest(alice, roomId)).content['membership']).toBe('leave')
    expect(await row(roomId)).toMatchObject({ membership: 'invite' })
  })

  it('nothing is believed that is of before the invite, of another server, or not signed', async () => {
    const roomId = await twoAdmins()
    await alice.rooms.invite(alice.user, roomId, bob.user)
    await send(alice, roomId, 'leave', 'the first')
    await network.settle()
    const first = await newest(alice, roomId)
    await alice.rooms.invite(alice.user, roomId, bob.user)
    network.offline.add(bob.name)
    await send(alice, roomId, 'leave', 'the second')
    await network.settle()
    network.offline.delete(bob.name)
    const second = await newest(alice, roomId)
    await bring(alice.name, first)
    await bring(carol.name, second)
    await bring(alice.name, { ...second, signatures: {} })
    await bring(alice.name, { ...second, content: { membership: 'leave', reason: 'changed' } })
    await bring(alice.name, { ...second, content: { membership: 'join' } })
    await bring(alice.name, { ...second, state_key: `@other:${bob.name}` })
    expect(await row(roomId)).toMatchObject({ membership: 'invite' })
    expect(await bring(alice.name, second)).toMatchObject({ pdus: { [await idOf(roomId)]: {} } })
    expect(await row(roomId)).toMatchObject({ membership: 'leave' })
  })

  const idOf = async (roomId: RoomId): Promise<string> =>
    (await alice.rooms.snapshot(roomId))?.state.get(memberKey(bob.user)) ?? ''

  it('one change of a row follows the other', async () => {
    const store = await createMemoryStore()
    const outsiders = createOutsiders({ store, committer: await createCommitter(store) })
    const [user, roomId] = ['@a:b' as UserId, '!r' as RoomId]
    const change = (eventId: string, only?: string): Promise<unknown> =>
      outsiders.change(user, roomId, (before) =>
        only === undefined || before?.eventId === only
          ? { membership: 'invite', eventId: eventId as EventId, sender: user }
          : undefined,
      )
    // A knock that began before the invite came, and ends after it.
    const [, , last] = await Promise.all([change('$1'), change('$invite', '$1'), change('$knock', '$1')])
    expect(last).toMatchObject({ eventId: '$invite', previous: 'invite' })
    expect(await outsiders.change(user, roomId, () => undefined)).toMatchObject({ eventId: '$invite' })
  })
})
