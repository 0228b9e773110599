/** What strangers can make of an invite by mail, and of the answer to one. */
import { encodeBase64Url, type JsonObject, type RoomId } from '@plexus/core'
import { MAX_EARLY_EVENTS, MAX_EARLY_EVENTS_OF_SERVER, MAX_PACKAGE_LENGTH } from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeRelays } from '../kit/mail-relay.ts'
import { keysOf } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { contactKit, inviteEdu } from './contact-kit.ts'
import { createMailNetwork } from './mail-kit.ts'
import { make } from './rooms-kit.ts'
import { membershipAt } from '../server-api/room.ts'

const bobsSecret = encodeBase64Url(new Uint8Array(32).fill(9))

describe('first contact of hostile senders', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let alice: Member
  let bob: Member
  let carol: Member
  let roomId: RoomId
  /** What Alice mails to Bob, who has not fetched it. */
  let mailed: JsonObject

  const { turnOf, patiently, join, mailInvite, rowsOf, invitesOf, tell } = contactKit(() => ({
    network,
    relays,
  }))

  beforeEach(async () => {
    const made = await createMailNetwork(['alice', 'bob', 'carol'], 2)
    ;({ network, relays } = made)
    ;[alice, bob, carol] = network.members as [Member, Member, Member]
    await network.pass(3_000)
    ;({ roomId, mailed } = await mailInvite(alice, bob))
    for (const relay of made.all) relay.lie = () => []
  })
  afterEach(() => network.close())

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
