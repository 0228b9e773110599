/** Joins that members learn of from who joined: the server through which that was may be gone. */
import type { EventId, JsonObject, Pdu, RoomId } from '@plexus/core'
import { memberKey } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, say, threeServers } from './rooms-kit.ts'

describe('a join that its own server tells of', () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    ;({ network, alice, bob, carol, roomId } = await threeServers())
    await bringIn(network, alice, bob, roomId)
  })

  const invite = async (): Promise<void> => {
    await alice.rooms.invite(alice.user, roomId, carol.user)
    await network.settle()
  }
  /** Carol joins through Alice, who is gone before Bob hears of it. */
  const joinAndLoseResident = async (): Promise<void> => {
    network.offline.add(bob.name)
    await carol.rooms.join(carol.user, roomId, { via: [alice.name] })
    await network.settle()
    network.offline.add(alice.name)
  }
  const bobAppears = async (): Promise<void> => {
    network.offline.delete(bob.name)
    carol.outbox.outbox.kick([bob.name], true)
    await network.settle()
  }
  const joinOf = async (node: BareNode): Promise<Pdu> => {
    const id = (await node.rooms.snapshot(roomId))?.state.get(memberKey(node.user)) as EventId
    return (await node.rooms.event(id))?.pdu as Pdu
  }
  const errorsOf = async (pdus: readonly JsonObject[]): Promise<(string | undefined)[]> =>
    Object.values(await bob.rooms.receive(carol.name, pdus)).map(({ error }) => error)

  it('counts, and so does what follows', async () => {
    await invite()
    await joinAndLoseResident()
    await bobAppears()
    await say(carol, roomId, 'here')
    await network.settle()
    expect((await bob.rooms.snapshot(roomId))?.joinedServers).toContain(carol.name)
    expect(await bodies(bob, roomId)).toEqual(['here'])
    await say(bob, roomId, 'welcome')
    await network.settle()
    expect(await bodies(carol, roomId)).toEqual(['here', 'welcome'])
  })

  it('is not told to a server that says that it is not in the room', async () => {
    const other = await createRoom(alice, 'public')
    await carol.rooms.join(carol.user, other, { via: [bob.name, alice.name] })
    await network.settle()
    expect(carol.calls.filter((call) => call.endsWith(bob.name))).toEqual([`make_join ${bob.name}`])
  })

  it('counts with what comes in the same transaction', async () => {
    await invite()
    await joinAndLoseResident()
    await say(carol, roomId, 'here')
    await bobAppears()
    expect(await bodies(bob, roomId)).toEqual(['here'])
    expect(network.complaints.filter((line) => line.includes('refused an event'))).toEqual([])
  })

  it('is refused, and not kept, of who may not come', async () => {
    network.offline.add(bob.name)
    await alice.rooms.invite(alice.user, roomId, carol.user)
    await carol.rooms.join(carol.user, roomId, { via: [alice.name] })
    await network.settle()
    network.offline.delete(bob.name)
    const id = (await carol.rooms.snapshot(roomId))?.state.get(memberKey(carol.user)) as EventId
    // Bob knows of no invite.
    expect(await errorsOf([await joinOf(carol)])).toEqual(['the sending server is not in the room'])
    expect(await bob.rooms.event(id)).toBeUndefined()
  })

  it('is refused of a server that the ACL of the room denies', async () => {
    await invite()
    const acl = { allow: ['*'], deny: [carol.name] }
    await alice.rooms.send(roomId, {
      type: 'm.room.server_acl',
      stateKey: '',
      sender: alice.user,
      content: acl,
    })
    await network.settle()
    const denied = alice.rooms.makeMembership('join', carol.name, roomId, carol.user, ['12'])
    await expect(denied).rejects.toThrow('ACL')
    const foreign = await joinOf(alice)
    expect(await errorsOf([foreign])).toEqual(['the server ACL of the room denies the sending server'])
  })

  it('brings nothing of others before it', async () => {
    await invite()
    const [message] = (await alice.rooms.events([await say(alice, roomId, 'of Alice')])).map(
      (one) => one?.pdu,
    )
    expect(await errorsOf([message as Pdu, await joinOf(alice)])).toEqual([
      'the sending server is not in the room',
      'the sending server is not in the room',
    ])
  })
})
