/** Two who have never met and are never awake together. */
import { encodeBase64Url, type JsonObject, type RoomId } from '@plexus/core'
import { MAX_EARLY_EVENTS, MAX_EARLY_EVENTS_OF_SERVER, MAX_PACKAGE_LENGTH } from '@plexus/engine/testing'
import type { Write } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeRelay, FakeRelays } from '../kit/mail-relay.ts'
import { createTestNetwork, keysOf } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { contactKit, inviteEdu } from './contact-kit.ts'
import { createMailNetwork, MINUTE } from './mail-kit.ts'
import { make } from './rooms-kit.ts'
import { bringIn, createRoom, membershipAt, read, stateOf } from '../server-api/room.ts'

const bobsSecret = encodeBase64Url(new Uint8Array(32).fill(9))

describe('first contact', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let relay: FakeRelay
  let two: FakeRelay
  let alice: Member
  let bob: Member
  let carol: Member

  const { pass, setAway, turnOf, patiently, invite, join, says, rowsOf, invitesOf, tell } = contactKit(
    () => ({
      network,
      relays,
    }),
  )

  beforeEach(async () => {
    const made = await createMailNetwork(['alice', 'bob', 'carol'], 2)
    ;({ network, relays } = made)
    ;[relay, two] = made.all as [FakeRelay, FakeRelay]
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

  describe('of hostile senders', () => {
    let roomId: RoomId
    let mailed: JsonObject

    /** What Alice mails to Bob, who has not fetched it. */
    beforeEach(async () => {
      await turnOf(alice)
      roomId = await createRoom(alice)
      await invite(alice, bob, roomId)
      const [row] = await alice.node.store.range('edu', '', '\u00ff')
      mailed = (JSON.parse(row?.[1] ?? '') as { content: JsonObject }).content
      for (const each of [relay, two]) each.lie = () => []
    })

    it('is no invite where anything about it is wrong', async () => {
      const changes: readonly Readonly<Record<string, unknown>>[] = [
        { event_id: '$other' },
        { room_id: '!other:example.org' },
        { room_version: 'none' },
        { event: undefined },
        { event: [1] },
        { invite_room_state: [] },
        { state: { a: 1 } },
        { auth_chain: [1] },
        { more: 'x'.repeat(MAX_PACKAGE_LENGTH) },
      ]
      for (const [n, change] of changes.entries())
        await tell(bob, alice, inviteEdu({ ...mailed, ...change } as JsonObject), n)
      expect(await invitesOf(bob)).toEqual([])
      expect(await rowsOf(bob, 'invite-package')).toBe(0)
      await tell(bob, alice, inviteEdu(mailed), 99)
      expect(await invitesOf(bob)).toEqual([roomId])
    })

    it('is no invite of anybody else', async () => {
      await tell(bob, carol, inviteEdu(mailed))
      await tell(carol, alice, inviteEdu(mailed))
      expect([...(await invitesOf(bob)), ...(await invitesOf(carol))]).toEqual([])
    })

    it('leads into no room whose state was made up', async () => {
      const state = (mailed['state'] as readonly JsonObject[]).map((event) => ({ ...event, signatures: {} }))
      await tell(bob, alice, inviteEdu({ ...mailed, state }))
      expect(await invitesOf(bob)).toEqual([roomId])
      await turnOf(bob)
      await expect(join(bob, roomId)).rejects.toThrow()
      expect(await bob.node.engine.rooms.snapshot(roomId)).toBeUndefined()
    })

    it('fills nobody with events of rooms that they are not in', async () => {
      const event = (n: number): JsonObject => ({ type: 'm.room.message', room_id: roomId, depth: n })
      const events = (from: Member, count: number): Promise<unknown> =>
        bob.node.engine.inbound.transaction({
          origin: from.node.name,
          pdus: Array.from({ length: count }, (_, n) => event(n)),
          edus: [],
        })
      await events(alice, 5)
      expect(await rowsOf(bob, 'early-event')).toBe(0)
      await tell(bob, alice, inviteEdu(mailed))
      await events(carol, 5)
      expect(await rowsOf(bob, 'early-event')).toBe(0)
      await events(alice, 5)
      await events(alice, MAX_EARLY_EVENTS + 5)
      expect(await rowsOf(bob, 'early-event')).toBe(MAX_EARLY_EVENTS)
      // Nor by one server with many rooms.
      const other = '!2:example.org'
      const [[key, value] = ['', '{}']] = await bob.node.store.range('invite-package', '', '\u00ff')
      const servers = [alice.node.name, carol.node.name]
      const row = JSON.stringify({ ...(JSON.parse(value) as JsonObject), servers })
      const copy = { map: 'invite-package', key: key.replace(roomId, other), value: row }
      await bob.node.engine.committer.submit({ writes: () => [copy] })
      for (const [depth, from] of [alice, carol].entries())
        await bob.node.engine.inbound.transaction({
          origin: from.node.name,
          pdus: [{ ...event(depth), room_id: other }],
          edus: [],
        })
      expect(MAX_EARLY_EVENTS_OF_SERVER).toBe(MAX_EARLY_EVENTS)
      expect(await rowsOf(bob, 'early-event')).toBe(MAX_EARLY_EVENTS + 1)
    })

    it('changes no room that its node has left', async () => {
      await alice.node.engine.rooms.leave(alice.user, roomId, undefined)
      const { id, pdu } = await make(
        { name: bob.node.name, user: bob.user, signer: keysOf(2).signer },
        alice.node.engine,
        roomId,
        { type: 'm.room.member', stateKey: bob.user, content: { membership: 'leave' } },
      )
      const content = { room_id: roomId, event_id: id, event: pdu }
      await tell(alice, bob, { edu_type: 'plexus.send_leave', content })
      expect(await membershipAt(alice, roomId, bob.user)).toBe('invite')
    })

    it('leaves what was told to another user here who is invited too, when one declines', async () => {
      await tell(bob, alice, inviteEdu(mailed))
      await bob.node.engine.inbound.transaction({
        origin: alice.node.name,
        pdus: [{ type: 'm.room.message', room_id: roomId, depth: 1 }],
        edus: [],
      })
      const [[key, value] = ['', '{}']] = await bob.node.store.range('invite-package', '', '\u00ff')
      const copy = { map: 'invite-package', key: key.replace(bob.user, `@other:${bob.node.name}`), value }
      await bob.node.engine.committer.submit({ writes: () => [copy] })
      await patiently(bob.node.engine.rooms.leave(bob.user, roomId))
      expect([await rowsOf(bob, 'invite-package'), await rowsOf(bob, 'early-event')]).toEqual([1, 1])
    })

    it('asks nobody again who has refused', async () => {
      await tell(bob, alice, inviteEdu(mailed))
      await patiently(bob.node.engine.rooms.leave(bob.user, roomId))
      await tell(bob, alice, inviteEdu(mailed), 2)
      expect([...(await invitesOf(bob)), await rowsOf(bob, 'invite-package')]).toEqual([0])
    })

    it('keeps what came with an invite when somebody else mails one to the same room', async () => {
      await tell(bob, alice, inviteEdu(mailed))
      const packageOf = async (): Promise<unknown> => {
        const [row] = await bob.node.store.range('invite-package', '', '\u00ff')
        return (JSON.parse(row?.[1] ?? '{}') as JsonObject)['origin']
      }
      // Whether Carol may invite is for the state to say, which Bob has not seen.
      const made = await make(
        { name: carol.node.name, user: carol.user, signer: keysOf(3).signer },
        alice.node.engine,
        roomId,
        { type: 'm.room.member', stateKey: bob.user, content: { membership: 'invite' } },
      )
      await tell(bob, carol, inviteEdu({ ...mailed, event_id: made.id, event: made.pdu }))
      const row = (await bob.node.engine.rooms.memberships(bob.user)).find((each) => each.roomId === roomId)
      expect(row?.sender).toBe(carol.user)
      expect(await packageOf()).toBe(alice.node.name)
      await turnOf(bob)
      await join(bob, roomId)
      expect(await membershipAt(bob, roomId, bob.user)).toBe('join')
    })

    it('opens no link that is another one, of another user, or of no room of the node, and lets nobody else refuse', async () => {
      const link = await alice.node.engine.control.createInvite(roomId, alice.user)
      await turnOf(carol)
      await patiently(carol.node.engine.control.openInvite({ ...link, secret: bobsSecret }, carol.user))
      const [row] = await carol.node.store.range('edu', '', '\u00ff')
      const edu = JSON.parse(row?.[1] ?? '') as { edu_type: string; content: JsonObject }
      const { event } = edu.content as { event: JsonObject }
      for (const content of [
        edu.content,
        { ...edu.content, room_id: '!other:example.org' },
        { ...edu.content, event: { ...event, state_key: bob.user } },
        { room_id: roomId, event: 1 },
        { room_id: roomId, event: { type: 'm.room.member', sender: alice.user, state_key: carol.user } },
      ])
        await tell(alice, carol, { edu_type: edu.edu_type, content })
      const { event_id: id, event: invited } = mailed as { event_id: string; event: JsonObject }
      const leave = { ...invited, sender: bob.user, content: { membership: 'leave' } }
      for (const content of [
        { room_id: roomId, event_id: id, event: invited },
        { room_id: roomId, event_id: id, event: leave },
        { room_id: roomId, event: leave },
      ])
        await tell(alice, carol, { edu_type: 'plexus.send_leave', content })
      expect(await membershipAt(alice, roomId, carol.user)).toBeUndefined()
      expect(await membershipAt(alice, roomId, bob.user)).toBe('invite')
    })
  })
})
