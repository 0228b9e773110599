import type { EventId, RoomId, UserId } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import {
  bodies,
  bringIn as bringInto,
  expectAncestorsFirst,
  say,
  stateText,
  threeServers,
} from './rooms-kit.ts'

describe('rooms', () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    ;({ network, alice, bob, carol, roomId } = await threeServers())
  })

  const bringIn = (node: BareNode): Promise<void> => bringInto(network, alice, node, roomId)

  it('keeps what a member sends, in order', async () => {
    for (const body of ['one', 'two', 'three']) await say(alice, roomId, body)
    expect(await bodies(alice, roomId)).toEqual(['one', 'two', 'three'])
  })

  it('refuses what the rules forbid and keeps nothing of it', async () => {
    const before = (await alice.rooms.snapshot(roomId))?.lastPosition
    await expect(
      alice.rooms.send(roomId, { type: 'm.room.message', sender: bob.user, content: {} }),
    ).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect((await alice.rooms.snapshot(roomId))?.lastPosition).toBe(before)
  })

  it('builds no event with a state key beyond its size', async () => {
    const long = { type: 'x', stateKey: '💥'.repeat(70), sender: alice.user, content: {} }
    await expect(alice.rooms.send(roomId, long)).rejects.toMatchObject({ errcode: 'M_BAD_JSON' })
  })

  it('sends one event for one client transaction', async () => {
    const event = {
      type: 'm.room.message',
      sender: alice.user,
      content: {},
      transaction: { deviceId: 'D', id: 't1' },
    }
    const ids = await Promise.all([alice.rooms.send(roomId, event), alice.rooms.send(roomId, event)])
    expect(new Set([...ids, await alice.rooms.send(roomId, event)]).size).toBe(1)
  })

  it('invites, joins and exchanges messages both ways', async () => {
    await bringIn(bob)
    await say(alice, roomId, 'hello bob')
    await network.settle()
    await say(bob, roomId, 'hello alice')
    await network.settle()
    for (const node of [alice, bob]) expect(await bodies(node, roomId)).toEqual(['hello bob', 'hello alice'])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('shows an invite with what the room is called', async () => {
    await alice.rooms.send(roomId, {
      type: 'm.room.name',
      stateKey: '',
      sender: alice.user,
      content: { name: 'Tea' },
    })
    await alice.rooms.invite(alice.user, roomId, bob.user)
    const [invite] = await bob.rooms.memberships(bob.user)
    expect(invite).toMatchObject({ membership: 'invite', sender: alice.user })
    expect(invite?.strippedState).toContainEqual(
      expect.objectContaining({ type: 'm.room.name', content: { name: 'Tea' } }),
    )
  })

  it('lets an invitee refuse', async () => {
    await alice.rooms.invite(alice.user, roomId, bob.user)
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    expect(await bob.rooms.membership(bob.user, roomId)).toMatchObject({
      membership: 'leave',
      previous: 'invite',
    })
    const members = await alice.rooms.stateEvents((await alice.rooms.snapshot(roomId))?.state ?? new Map())
    expect(members.find(({ pdu }) => pdu.state_key === bob.user)?.pdu.content['membership']).toBe('leave')
  })

  it('refuses a join without an invite', async () => {
    await expect(bob.rooms.join(bob.user, roomId, { via: [alice.name] })).rejects.toThrow(
      'open to the invited only',
    )
  })

  it('reaches a third member that joined through another', async () => {
    await bringIn(bob)
    await bringIn(carol)
    await say(bob, roomId, 'to all')
    await say(carol, roomId, 'also to all')
    await network.settle()
    for (const node of [alice, bob, carol])
      expect((await bodies(node, roomId)).map(String).toSorted()).toEqual(['also to all', 'to all'])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect(await stateText(carol, roomId)).toBe(await stateText(alice, roomId))
  })

  it('catches up after an absence, with nothing missing, doubled or before its ancestors', async () => {
    await bringIn(bob)
    await bringIn(carol)
    network.offline.add(carol.name)
    for (let index = 0; index < 120; index += 1)
      await say(index % 2 === 0 ? alice : bob, roomId, String(index))
    await network.settle()
    network.offline.delete(carol.name)
    for (const { outbox } of [alice, bob]) outbox.outbox.kick([carol.name], true)
    await network.settle()
    carol.staging.kick(alice.name)
    await network.settle()
    const seen = await bodies(carol, roomId)
    expect(seen).toHaveLength(120)
    expect(new Set(seen).size).toBe(120)
    await expectAncestorsFirst(carol, roomId)
    expect(await stateText(carol, roomId)).toBe(await stateText(alice, roomId))
  })

  it.each([
    ['that it does not hold', false],
    ['that it fetched before', true],
  ])('shows a fork from before a join as new, and not the history under it %s', async (_, fetched) => {
    await bringIn(bob)
    for (const body of ['old 1', 'old 2', 'old 3']) await say(alice, roomId, body)
    await network.settle()
    network.offline.add(bob.name)
    await say(bob, roomId, 'beside the join')
    await bringIn(carol)
    if (fetched) await carol.rooms.backfill(roomId, 2 ** 50, 50)
    network.offline.delete(bob.name)
    bob.outbox.outbox.kick([alice.name], true)
    await network.settle()
    await say(alice, roomId, 'after the join')
    // Two members have to tell the state before the fork, one of whom hears of Carol's join only now.
    await network.pass(10_000)
    const live = ['beside the join', 'after the join']
    const old = ['old 1', 'old 2', 'old 3']
    expect(await bodies(carol, roomId)).toEqual(fetched ? [...old, ...live] : live)
    await expectAncestorsFirst(carol, roomId)
    await carol.rooms.backfill(roomId, 2 ** 50, 50)
    expect(await bodies(carol, roomId)).toEqual([...old, ...live])
    await expectAncestorsFirst(carol, roomId)
    expect(await stateText(carol, roomId)).toBe(await stateText(alice, roomId))
  })

  it('fills a gap from the sender when only the newest event arrives', async () => {
    await bringIn(bob)
    network.offline.add(bob.name)
    for (const body of ['a', 'b', 'c']) await say(alice, roomId, body)
    await network.settle()
    network.offline.delete(bob.name)
    const [last] = (await alice.rooms.snapshot(roomId))?.heads ?? []
    const newest = last === undefined ? undefined : await alice.rooms.event(last)
    await bob.rooms.receive(alice.name, newest === undefined ? [] : [newest.pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['a', 'b', 'c'])
    expect(bob.calls).toContain(`get_missing_events ${alice.name}`)
  })

  it('merges a fork to one state', async () => {
    await bringIn(bob)
    await alice.rooms.send(roomId, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice.user,
      content: { users: { [bob.user]: 100 } },
    })
    await network.settle()
    network.offline.add(bob.name)
    const topic = (node: BareNode, text: string): Promise<EventId> =>
      node.rooms.send(roomId, {
        type: 'm.room.topic',
        stateKey: '',
        sender: node.user,
        content: { topic: text },
      })
    await topic(alice, "alice's")
    await topic(bob, "bob's")
    await network.settle()
    network.offline.delete(bob.name)
    alice.outbox.outbox.kick([bob.name], true)
    bob.outbox.outbox.kick([alice.name], true)
    await network.settle()
    await say(alice, roomId, 'after')
    await network.settle()
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect((await bob.rooms.snapshot(roomId))?.heads).toEqual((await alice.rooms.snapshot(roomId))?.heads)
  })

  it('brings history from before the join on request', async () => {
    for (const body of ['old 1', 'old 2']) await say(alice, roomId, body)
    await bringIn(bob)
    expect(await bodies(bob, roomId)).toEqual([])
    await bob.rooms.backfill(roomId, 2 ** 50, 50)
    expect(await bodies(bob, roomId)).toEqual(['old 1', 'old 2'])
  })

  it('redacts on both sides', async () => {
    await bringIn(bob)
    const id = await say(alice, roomId, 'oops')
    await alice.rooms.send(roomId, { type: 'm.room.redaction', sender: alice.user, content: {}, redacts: id })
    await network.settle()
    for (const node of [alice, bob]) {
      const record = await node.rooms.event(id)
      expect(record?.pdu.content).toEqual({})
      expect(record?.redactedBy).toBeDefined()
    }
  })

  it('lets nobody redact another user of the same server, unless the room lets them redact anybody', async () => {
    const friend = `@friend:${alice.name}` as UserId
    await alice.rooms.invite(alice.user, roomId, friend)
    await alice.rooms.join(friend, roomId, { via: [] })
    const id = await say(alice, roomId, 'said by Alice')
    const redaction = { type: 'm.room.redaction', sender: friend, content: {}, redacts: id }
    await expect(alice.rooms.send(roomId, redaction)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect((await alice.rooms.event(id))?.redactedBy).toBeUndefined()
    const levels = { type: 'm.room.power_levels', stateKey: '', sender: alice.user }
    await alice.rooms.send(roomId, { ...levels, content: { users: { [friend]: 50 } } })
    const by = await alice.rooms.send(roomId, redaction)
    expect((await alice.rooms.event(id))?.redactedBy).toBe(by)
  })

  it('exchanges an invite link for an invite, once', async () => {
    const { token } = await alice.rooms.createLinkInvite(roomId, alice.user)
    const snapshot = await alice.rooms.snapshot(roomId)
    const link = (await alice.rooms.stateEvents(snapshot?.state ?? new Map())).find(
      ({ pdu }) => pdu.state_key === token,
    )
    expect(link?.pdu.content).toHaveProperty('public_key')
    await expect(
      alice.rooms.exchangeThirdPartyInvite(bob.name, roomId, {
        type: 'm.room.member',
        sender: alice.user,
        state_key: bob.user,
        content: {
          membership: 'invite',
          third_party_invite: {
            signed: { mxid: bob.user, token, signatures: { x: { 'ed25519:0': 'AAAA' } } },
          },
        },
      }),
    ).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    // Nobody hears of an invite that does not stand.
    expect(await bob.rooms.membership(bob.user, roomId)).toBeUndefined()
    expect(alice.calls).not.toContain(`invite ${bob.name}`)
  })

  it('tells nobody of an invite that its sender may not make', async () => {
    await alice.rooms.send(roomId, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice.user,
      content: { users: {}, invite: 50 },
    })
    await bringIn(bob)
    await expect(bob.rooms.invite(bob.user, roomId, carol.user)).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
    })
    expect(await carol.rooms.membership(carol.user, roomId)).toBeUndefined()
    expect(bob.calls).not.toContain(`invite ${carol.name}`)
  })

  it('counts deliveries by the nodes of the other members', async () => {
    await bringIn(bob)
    await bringIn(carol)
    network.offline.add(carol.name)
    const id = await say(alice, roomId, 'hi')
    await network.settle()
    expect(await alice.outbox.outbox.delivery(roomId, id)).toMatchObject({ delivered: 1, members: 2 })
    network.offline.delete(carol.name)
    alice.outbox.outbox.kick([carol.name], true)
    await network.settle()
    expect(await alice.outbox.outbox.delivery(roomId, id)).toMatchObject({ delivered: 2, members: 2 })
    expect(await alice.outbox.outbox.waiting()).toBe(0)
  })

  it('follows its heads through an event that was refused here', async () => {
    await bringIn(bob)
    await bringIn(carol)
    network.offline.add(alice.name)
    const ban = await alice.rooms.send(roomId, {
      type: 'm.room.member',
      stateKey: carol.user,
      sender: alice.user,
      content: { membership: 'ban' },
    })
    const before = await say(bob, roomId, 'before')
    await network.settle()
    const refused = await say(carol, roomId, 'refused')
    await network.settle()
    const after = await say(bob, roomId, 'after')
    for (const id of [before, refused, after]) {
      const event = await bob.rooms.event(id)
      await alice.rooms.receive(bob.name, event === undefined ? [] : [event.pdu])
      await network.settle()
    }
    expect((await alice.rooms.event(refused))?.verdict).toBe('softFailed')
    expect((await alice.rooms.snapshot(roomId))?.heads).toEqual([ban, after].toSorted())
  })
})
