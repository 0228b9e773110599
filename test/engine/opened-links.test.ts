/** Links that wait for an invite by mail: that they end, one way or the other. */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import type { InviteLink, OpenedLink } from '@plexus/engine/ports'
import { exchangeRequest, MAX_OPENED_LINKS, MAX_TOLD_OF_LINK } from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FakeRelays } from '../kit/mail-relay.ts'
import { testSigner } from '../kit/keys.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { contactKit } from './contact-kit.ts'
import { createMailNetwork, MINUTE } from './mail-kit.ts'
import { createRoom } from '../server-api/room.ts'

describe('a link that waits', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let alice: Member
  let bob: Member
  let carol: Member
  let link: InviteLink
  let roomId: RoomId

  const { pass, setAway, turnOf, patiently, rowsOf, invitesOf, tell } = contactKit(() => ({
    network,
    relays,
  }))
  const opened = ({ node, user }: Member) => node.engine.control.openedLinks(user)
  const open = ({ node, user }: Member) => patiently(node.engine.control.openInvite(link, user))

  beforeEach(async () => {
    ;({ network, relays } = await createMailNetwork(['alice', 'bob', 'carol'], 2))
    ;[alice, bob, carol] = network.members as [Member, Member, Member]
    await network.pass(3_000)
    await turnOf(alice)
    roomId = await createRoom(alice)
    link = await alice.node.engine.control.createInvite(roomId, alice.user)
    await turnOf(bob)
  })
  afterEach(() => network.close())

  it('is over when the invite comes', async () => {
    await open(bob)
    const week = 7 * 24 * 60 * MINUTE
    const expires = expect.closeTo(network.clock.now() + week, -6)
    expect(await opened(bob)).toEqual([{ link, expires, refused: false }])
    bob = await network.restart(bob)
    expect(await opened(bob)).toHaveLength(1)
    const listener = vi.fn()
    const stop = bob.node.engine.control.watchOpenedLinks(listener)
    await turnOf(alice)
    expect(listener).not.toHaveBeenCalled()
    await turnOf(bob)
    expect(listener).toHaveBeenCalled()
    expect(await opened(bob)).toEqual([])
    stop()
    await bob.node.engine.rooms.leave(bob.user, roomId)
    expect(await opened(bob)).toEqual([])
  })

  it('is refused once it was revoked', async () => {
    await turnOf(alice)
    await alice.node.engine.control.revokeInvite(roomId, link.token, alice.user)
    await turnOf(bob)
    await open(bob)
    await turnOf(alice)
    await turnOf(bob)
    expect(await opened(bob)).toMatchObject([{ refused: true }])
  })

  it('is refused to who opened it second', async () => {
    await open(bob)
    await turnOf(carol)
    await open(carol)
    await turnOf(alice)
    await turnOf(carol)
    expect(await opened(carol)).toMatchObject([{ link, refused: true }])
    await turnOf(bob)
    expect(await invitesOf(bob)).toEqual([roomId])
    // Told once an hour.
    await turnOf(carol)
    await open(carol)
    expect(await opened(carol)).toMatchObject([{ refused: false }])
    await turnOf(alice)
    await turnOf(carol)
    expect(await opened(carol)).toMatchObject([{ refused: false }])
    await pass(60 * MINUTE)
    await open(carol)
    await turnOf(alice)
    await turnOf(carol)
    expect(await opened(carol)).toMatchObject([{ refused: true }])
    await carol.node.engine.control.forgetOpenedLink(roomId, carol.user)
    expect(await opened(carol)).toEqual([])
  })

  it('is refused to so many servers and no more, since names cost nothing', async () => {
    await alice.node.engine.control.revokeInvite(roomId, link.token, alice.user)
    for (let n = 0; n <= MAX_TOLD_OF_LINK; n += 1) {
      const origin = testSigner(100 + n).name
      const secret = new Uint8Array(32)
      const asked = { roomId, token: link.token, secret, inviter: alice.user }
      const event = exchangeRequest(asked, `@eve:${origin}` as UserId)
      const content = { room_id: roomId, event }
      const edus = [{ edu_type: 'plexus.exchange_third_party_invite', content }]
      const ordered = { incarnation: 'hostile', sequence: 1, acknowledged: 0 }
      await alice.node.engine.inbound.transaction({ origin, pdus: [], edus, ordered })
    }
    expect(await rowsOf(alice, 'edu')).toBe(MAX_TOLD_OF_LINK)
  })

  it('is over with the answer of an inviter who is there', async () => {
    await open(bob)
    await turnOf(carol)
    await open(carol)
    for (const member of network.members) setAway(member, false)
    await pass(MINUTE)
    expect(await opened(carol)).toMatchObject([{ refused: true }])
    await expect(open(carol)).rejects.toThrow(/was used/)
    expect(await opened(carol)).toEqual([])
  })

  it('is believed to be refused by its maker alone', async () => {
    await open(bob)
    const edu = (content: JsonObject): JsonObject => ({ edu_type: 'plexus.exchange_refused', content })
    const content = { room_id: roomId, token: link.token }
    await tell(bob, carol, edu(content), 1)
    await tell(bob, alice, edu({ ...content, token: 'other' }), 2)
    await tell(bob, alice, edu({ token: link.token }), 3)
    expect(await opened(bob)).toMatchObject([{ refused: false }])
    await tell(bob, alice, edu(content), 4)
    expect(await opened(bob)).toMatchObject([{ refused: true }])
  })

  it('makes place for others, the first of so many', async () => {
    await open(bob)
    const [[key, value] = ['', '{}']] = await bob.node.store.range('opened-link', '', '\u00ff')
    const rows = Array.from({ length: MAX_OPENED_LINKS }, (_, n) => {
      const row = JSON.parse(value) as OpenedLink
      const other = `!${n}:${alice.node.name}` as RoomId
      const older = { ...row, link: { ...link, roomId: other }, expires: row.expires - 1 - n }
      return { map: 'opened-link', key: key.replace(roomId, other), value: JSON.stringify(older) }
    })
    await bob.node.engine.committer.submit({ writes: () => rows })
    await open(bob)
    const rooms = (await opened(bob)).map((each) => each.link.roomId)
    expect(rooms).toHaveLength(MAX_OPENED_LINKS)
    expect(rooms).toContain(roomId)
    expect(rooms).not.toContain(`!${MAX_OPENED_LINKS - 1}:${alice.node.name}`)
  })
})
