/** Rooms of two and three whole nodes, over signed requests. */
import type { RoomId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom, membershipAt, read, say, stateOf } from './room.ts'

const endpointOf = (uri: string): string => uri.split('/')[4] ?? ''

describe('rooms over federation', { timeout: 30_000 }, () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let carol: Member
  let roomId: RoomId

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob', 'carol'])
    ;[alice, bob, carol] = network.members as [Member, Member, Member]
    roomId = await createRoom(alice)
  })

  afterEach(async () => {
    const faults = network.members.flatMap(({ node }) => node.complaints)
    expect(faults.filter((line) => line.startsWith('error'))).toEqual([])
    await network.close()
  })

  const agree = async (...members: readonly Member[]): Promise<void> => {
    const [first, ...others] = await Promise.all(members.map((member) => stateOf(member, roomId)))
    expect(first?.length).toBeGreaterThan(4)
    for (const other of others) expect(other).toEqual(first)
  }

  it('makes two rooms of two equal requests in one millisecond', async () => {
    const ids = await Promise.all([createRoom(alice), createRoom(alice)])
    expect(new Set(ids).size).toBe(2)
  })

  it('carry messages both ways', async () => {
    await bringIn(alice, bob, roomId)
    await network.settle()
    await say(alice, roomId, 'one')
    await network.settle()
    await say(bob, roomId, 'two')
    await network.settle()
    for (const member of [alice, bob]) expect(await read(member, roomId)).toEqual(['one', 'two'])
    await agree(alice, bob)
    const asked = network.loopback.log.map(({ uri }) => endpointOf(uri))
    expect(asked.filter((name) => name !== 'send').slice(0, 3)).toEqual(['invite', 'make_join', 'send_join'])
    expect(network.loopback.log.filter(({ outcome }) => outcome !== 200)).toEqual([])
  })

  it('show an invite with the name of the room, and take a refusal', async () => {
    await alice.node.engine.rooms.invite(alice.user, roomId, bob.user)
    const [invite] = await bob.node.engine.rooms.memberships(bob.user)
    expect(invite).toMatchObject({ membership: 'invite', sender: alice.user })
    expect(invite?.strippedState).toContainEqual(expect.objectContaining({ content: { name: 'Tea' } }))
    await bob.node.engine.rooms.leave(bob.user, roomId)
    await network.settle()
    expect(await membershipAt(alice, roomId, bob.user)).toBe('leave')
    expect(network.loopback.log.map(({ uri }) => endpointOf(uri))).toContain('send_leave')
  })

  it('let a member leave, and tell it nothing after', async () => {
    await bringIn(alice, bob, roomId)
    await network.settle()
    await bob.node.engine.rooms.leave(bob.user, roomId)
    await network.settle()
    expect(await membershipAt(alice, roomId, bob.user)).toBe('leave')
    await say(alice, roomId, 'secret')
    await network.settle()
    expect(await read(bob, roomId)).toEqual([])
    const { federation } = bob.node.engine
    const refused = expect.objectContaining({
      remote: expect.objectContaining({ status: 403, errcode: 'M_FORBIDDEN' }),
    })
    const [head] = (await alice.node.engine.rooms.snapshot(roomId))?.heads ?? []
    if (head === undefined) throw new Error('the room has a head')
    await expect(federation.event(alice.node.name, head)).rejects.toEqual(refused)
    await expect(federation.state(alice.node.name, roomId, head)).rejects.toEqual(refused)
    await expect(federation.backfill(alice.node.name, roomId, [head], 5)).rejects.toEqual(refused)
  })

  it('keep strangers out', async () => {
    const join = bob.node.engine.rooms.join(bob.user, roomId, { via: [alice.node.name] })
    await expect(join).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect(await bob.node.engine.rooms.snapshot(roomId)).toBeUndefined()
  })

  it('open to whoever has an invite link, once', async () => {
    const link = await alice.node.engine.control.createInvite(roomId, alice.user)
    await bob.node.engine.control.openInvite(link, bob.user)
    expect(await bob.node.engine.rooms.membership(bob.user, roomId)).toMatchObject({ membership: 'invite' })
    await bob.node.engine.rooms.join(bob.user, roomId, { via: [] })
    await network.settle()
    await agree(alice, bob)
    await expect(carol.node.engine.control.openInvite(link, carol.user)).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
    })
    expect(network.loopback.log.map(({ uri }) => endpointOf(uri))).toContain('exchange_third_party_invite')
  })

  it('reach members that joined through one another', async () => {
    await bringIn(alice, bob, roomId)
    await network.settle()
    await bringIn(bob, carol, roomId)
    await network.settle()
    await say(carol, roomId, 'hello')
    await network.settle()
    for (const member of [alice, bob, carol]) expect(await read(member, roomId)).toEqual(['hello'])
    await agree(alice, bob, carol)
  })

  it('catch up after a member was away', async () => {
    await bringIn(alice, bob, roomId)
    await network.settle()
    network.loopback.offline(bob.node.name)
    const said = Array.from({ length: 120 }, (_, index) => `message ${index}`)
    for (const body of said) await say(alice, roomId, body)
    await network.settle()
    expect(await read(bob, roomId)).toEqual([])
    expect(await alice.node.engine.outbox.waiting()).toBeGreaterThan(0)
    network.loopback.offline(bob.node.name, false)
    alice.node.engine.control.peerAppeared(bob.node.name)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(said)
    expect(await alice.node.engine.outbox.waiting()).toBe(0)
    await agree(alice, bob)
  })

  it('catch up without being told, when the time for another attempt comes', async () => {
    await bringIn(alice, bob, roomId)
    await network.settle()
    network.loopback.offline(bob.node.name)
    await say(alice, roomId, 'late')
    await network.settle()
    network.loopback.offline(bob.node.name, false)
    await network.pass(60_000)
    expect(await read(bob, roomId)).toEqual(['late'])
  })

  it('heal after two sides wrote apart', async () => {
    await bringIn(alice, bob, roomId)
    await network.settle()
    network.loopback.cut(alice.node.name, bob.node.name)
    await say(alice, roomId, 'from alice')
    await say(bob, roomId, 'from bob')
    await network.settle()
    network.loopback.cut(alice.node.name, bob.node.name, false)
    await network.pass(60_000)
    for (const member of [alice, bob]) {
      expect((await read(member, roomId)).toSorted()).toEqual(['from alice', 'from bob'])
    }
    await say(alice, roomId, 'together')
    await network.settle()
    await agree(alice, bob)
  })

  it('give their history to those who join later', async () => {
    const said = Array.from({ length: 30 }, (_, index) => `message ${index}`)
    for (const body of said) await say(alice, roomId, body)
    await bringIn(alice, bob, roomId)
    await network.settle()
    expect(await read(bob, roomId)).toEqual([])
    const order = (
      await bob.node.engine.rooms.timeline(roomId, { from: 0, to: 2 ** 50, direction: 'f', limit: 1 })
    ).events[0]?.order
    await bob.node.engine.rooms.backfill(roomId, order ?? 0, 100)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(said)
    await agree(alice, bob)
  })

  it('outlive a restart of every node', async () => {
    await bringIn(alice, bob, roomId)
    await network.settle()
    network.loopback.offline(bob.node.name)
    await say(alice, roomId, 'before')
    await network.settle()
    const alice2 = await network.restart(alice)
    const bob2 = await network.restart(bob)
    network.loopback.offline(bob.node.name, false)
    await network.pass(60_000)
    await say(bob2, roomId, 'after')
    await network.settle()
    for (const member of [alice2, bob2]) expect(await read(member, roomId)).toEqual(['before', 'after'])
    await agree(alice2, bob2)
  })
})
