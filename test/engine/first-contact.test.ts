/** Two who have never met and are never awake together. */
import type { Write } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FakeRelay, FakeRelays } from '../kit/mail-relay.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { contactKit } from './contact-kit.ts'
import { createMailNetwork, MINUTE } from './mail-kit.ts'
import { bringIn, createRoom, membershipAt, read, stateOf } from '../server-api/room.ts'

describe('first contact', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let relay: FakeRelay
  let alice: Member
  let bob: Member
  let carol: Member

  const { pass, setAway, turnOf, patiently, invite, join, says, rowsOf, invitesOf } = contactKit(() => ({
    network,
    relays,
  }))

  beforeEach(async () => {
    const made = await createMailNetwork(['alice', 'bob', 'carol'], 2)
    ;({ network, relays } = made)
    ;[relay] = made.all as [FakeRelay]
    ;[alice, bob, carol] = network.members as [Member, Member, Member]
    await network.pass(3_000)
  })
  afterEach(() => network.close())

  it('by user id: an invite, what was said after it, and the answer', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    await invite(alice, bob, roomId)
    await says(alice, roomId, 'hello')
    await turnOf(bob)
    expect(await invitesOf(bob)).toEqual([roomId])
    await join(bob, roomId)
    expect(await read(bob, roomId)).toEqual(['hello'])
    await says(bob, roomId, 'hi')
    await turnOf(alice)
    expect(await read(alice, roomId)).toEqual(['hello', 'hi'])
    expect(await membershipAt(alice, roomId, bob.user)).toBe('join')
    await says(alice, roomId, 'how are you?')
    await turnOf(bob)
    expect(await read(bob, roomId)).toEqual(['hello', 'hi', 'how are you?'])
    expect(await stateOf(bob, roomId)).toEqual(await stateOf(alice, roomId))
    expect([...bob.node.complaints, ...alice.node.complaints]).toEqual([])
  })

  it('tells nothing of before the answer where history is for who has joined', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    const content = { history_visibility: 'joined' }
    const visibility = { type: 'm.room.history_visibility', stateKey: '', sender: alice.user, content }
    await alice.node.engine.rooms.send(roomId, visibility)
    await invite(alice, bob, roomId)
    await says(alice, roomId, 'among us')
    await turnOf(bob)
    expect(await invitesOf(bob)).toEqual([roomId])
    await join(bob, roomId)
    await says(bob, roomId, 'hi')
    await turnOf(alice)
    await says(alice, roomId, 'welcome')
    setAway(bob, false)
    await pass(10 * MINUTE)
    // It knows that something was said, and not what.
    expect(await read(bob, roomId)).toEqual(['hi', undefined, 'welcome'])
  })

  it('by link: the inviter wakes in between, and each restarts every time', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    const link = await alice.node.engine.control.createInvite(roomId, alice.user)
    await turnOf(bob)
    expect(await patiently(bob.node.engine.control.openInvite(link, bob.user))).toBe('waiting')
    bob = await network.restart(bob)
    await turnOf(alice)
    expect(await membershipAt(alice, roomId, bob.user)).toBe('invite')
    await says(alice, roomId, 'hello')
    alice = await network.restart(alice)
    await turnOf(bob)
    expect(await invitesOf(bob)).toEqual([roomId])
    bob = await network.restart(bob)
    await turnOf(bob)
    await join(bob, roomId)
    expect(await read(bob, roomId)).toEqual(['hello'])
    await says(bob, roomId, 'hi')
    bob = await network.restart(bob)
    await turnOf(alice)
    expect(await read(alice, roomId)).toEqual(['hello', 'hi'])
    // The link is used up.
    await turnOf(carol)
    await patiently(carol.node.engine.control.openInvite(link, carol.user))
    await turnOf(alice)
    await turnOf(carol)
    expect(await invitesOf(carol)).toEqual([])
  })

  it('of one whom another member of the room has not met either', async () => {
    for (const member of network.members) setAway(member, false)
    const roomId = await createRoom(alice)
    await bringIn(alice, carol, roomId)
    await turnOf(alice)
    await invite(alice, bob, roomId)
    await turnOf(carol)
    await says(carol, roomId, 'who is Bob?')
    await turnOf(alice)
    await says(alice, roomId, 'a friend')
    await turnOf(bob)
    await join(bob, roomId)
    expect(await read(bob, roomId)).toEqual(['who is Bob?', 'a friend'])
    await says(bob, roomId, 'hi')
    await turnOf(carol)
    expect(await read(carol, roomId)).toEqual(['who is Bob?', 'a friend', 'hi'])
    await says(carol, roomId, 'welcome')
    await turnOf(bob)
    await turnOf(alice)
    for (const member of [alice, bob])
      expect(await read(member, roomId)).toEqual(['who is Bob?', 'a friend', 'hi', 'welcome'])
  })

  it('with somebody there to answer is an ordinary one', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    await invite(alice, bob, roomId)
    await says(alice, roomId, 'hello')
    await turnOf(bob)
    setAway(alice, false)
    await join(bob, roomId)
    await network.settle()
    expect(await read(alice, roomId)).toEqual(['hello'])
    await says(bob, roomId, 'hi')
    expect(await read(alice, roomId)).toEqual(['hello', 'hi'])
    expect(await rowsOf(bob, 'early-event')).toBe(0)
    expect(await rowsOf(bob, 'invite-package')).toBe(0)
  })

  it('that is declined while nobody is there is over for all', async () => {
    for (const member of network.members) setAway(member, false)
    const roomId = await createRoom(alice)
    await bringIn(alice, carol, roomId)
    await turnOf(alice)
    await invite(alice, bob, roomId)
    await turnOf(bob)
    await patiently(bob.node.engine.rooms.leave(bob.user, roomId))
    expect([...(await invitesOf(bob)), await rowsOf(bob, 'invite-package')]).toEqual([0])
    await turnOf(alice)
    expect(await membershipAt(alice, roomId, bob.user)).toBe('leave')
    await turnOf(carol)
    expect(await membershipAt(carol, roomId, bob.user)).toBe('leave')
  })

  it('is refused here also where too much waits for the inviter to be told', async () => {
    await turnOf(alice)
    await invite(alice, bob, await createRoom(alice))
    await turnOf(bob)
    const [waiting] = await invitesOf(bob)
    vi.spyOn(bob.node.engine.outbox, 'isFull').mockReturnValue(true)
    await patiently(bob.node.engine.rooms.leave(bob.user, waiting ?? expect.fail()))
    expect([await invitesOf(bob), await rowsOf(bob, 'edu')]).toEqual([[], 0])
  })

  it('that is declined leaves nothing, and the inviter tells no more', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    await invite(alice, bob, roomId)
    await says(alice, roomId, 'hello')
    await turnOf(bob)
    setAway(alice, false)
    await patiently(bob.node.engine.rooms.leave(bob.user, roomId))
    expect(await rowsOf(bob, 'early-event')).toBe(0)
    expect(await rowsOf(bob, 'invite-package')).toBe(0)
    expect(await membershipAt(alice, roomId, bob.user)).toBe('leave')
    setAway(bob)
    await says(alice, roomId, 'are you there?')
    expect(relay.waiting(bob.node.name)).toEqual([])
    expect(await rowsOf(alice, 'mailed-invite')).toBe(0)
  })

  it('gives what was told of the room to who was killed between the join and taking it', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    await invite(alice, bob, roomId)
    await says(alice, roomId, 'hello')
    await turnOf(bob)
    const held = async (): Promise<readonly Write[]> => {
      const maps = ['early-event', 'invite-package']
      const rows = maps.map(async (map) =>
        (await bob.node.store.range(map, '', '\u00ff')).map(([key, value]) => ({ map, key, value })),
      )
      return (await Promise.all(rows)).flat()
    }
    const before = await held()
    const early = before.filter(({ map }) => map === 'early-event')
    const write = (writes: readonly Write[]) => bob.node.engine.committer.submit({ writes: () => writes })
    await write(early.map(({ map, key }) => ({ map, key, value: undefined })))
    await join(bob, roomId)
    await write(before)
    bob = await network.restart(bob)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(['hello'])
    expect(await held()).toEqual([])
  })

  it('that is withdrawn opens nothing', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    await invite(alice, bob, roomId)
    await turnOf(bob)
    expect(await invitesOf(bob)).toEqual([roomId])
    await turnOf(alice)
    await alice.node.engine.rooms.send(roomId, {
      type: 'm.room.member',
      stateKey: bob.user,
      sender: alice.user,
      content: { membership: 'leave' },
    })
    await pass(MINUTE)
    await turnOf(bob)
    expect(await invitesOf(bob)).toEqual([])
    const attempt = bob.node.engine.rooms.join(bob.user, roomId, { via: [alice.node.name] })
    await expect(patiently(attempt)).rejects.toThrow(/nobody there could be reached/)
    expect(await bob.node.engine.rooms.snapshot(roomId)).toBeUndefined()
  })

  it('comes by mail for a link though nobody knew at first where its opener takes mail', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    const link = await alice.node.engine.control.createInvite(roomId, alice.user)
    await turnOf(bob)
    expect(await patiently(bob.node.engine.control.openInvite(link, bob.user))).toBe('waiting')
    const record = relays.published.get(bob.node.name)
    relays.published.delete(bob.node.name)
    await turnOf(alice)
    if (record !== undefined) relays.published.set(bob.node.name, record)
    await pass(60 * MINUTE)
    await turnOf(bob)
    expect(await invitesOf(bob)).toEqual([roomId])
  })

  it('with a room that no mail holds waits for somebody who is there', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    for (let n = 0; n < 60; n += 1) {
      const content = { text: 'x'.repeat(1_000) }
      await alice.node.engine.rooms.send(roomId, {
        type: 'm.test',
        stateKey: `${n}`,
        sender: alice.user,
        content,
      })
    }
    await invite(alice, bob, roomId)
    await turnOf(bob)
    expect(await invitesOf(bob)).toEqual([roomId])
    await expect(join(bob, roomId)).rejects.toThrow(/nobody there could be reached/)
    setAway(alice, false)
    await join(bob, roomId)
    expect(await membershipAt(alice, roomId, bob.user)).toBe('join')
  })

  it('needs a node that somebody found', async () => {
    await turnOf(alice)
    const roomId = await createRoom(alice)
    relays.published.delete(bob.node.name)
    await expect(invite(alice, bob, roomId)).rejects.toThrow(/nobody there could be reached/)
    expect(await membershipAt(alice, roomId, bob.user)).toBeUndefined()
    const link = await carol.node.engine.control.createInvite(await createRoom(carol), carol.user)
    relays.published.delete(carol.node.name)
    await expect(patiently(alice.node.engine.control.openInvite(link, alice.user))).rejects.toThrow(
      /nobody there could be reached/,
    )
  })
})
