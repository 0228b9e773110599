/** Mail among relays that lie, refuse, come and go. */
import type { RoomId } from '@plexus/core'
import type { KeptMail } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import type { FakeRelay, FakeRelays } from '../kit/mail-relay.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { read, say } from '../server-api/room.ts'
import { correspondence, createCorrespondents, HOUR, MINUTE } from './mail-kit.ts'

describe('mail', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let one: FakeRelay
  let two: FakeRelay
  let alice: Member
  let bob: Member
  let roomId: RoomId

  beforeEach(async () => {
    ;({ network, relays, one, two, alice, bob, roomId } = await createCorrespondents())
  })
  afterEach(() => network.close())

  const { pass, setAway, inbox, deliveryOf, mailFor, leave } = correspondence(() => ({
    network,
    relays,
    alice,
    bob,
    roomId,
  }))

  it('does not wait behind mail that nobody can open', async () => {
    setAway(bob)
    const stranger = relays.mailboxes(
      testSigner(99).name,
      () => undefined,
      () => false,
    )
    await leave('hello', 1)
    const [sample] = mailFor(one, bob)
    if (sample === undefined) throw new Error('there is no mail')
    const mailbox = { peerId: one.peerId, multiaddrs: [] }
    for (const bytes of [new Uint8Array(), new Uint8Array(1072), new Uint8Array(70_000)])
      await stranger.deposit(mailbox, { ...sample, lane: 'strangers', bytes }, undefined)
    setAway(bob, false)
    await network.settle()
    expect(mailFor(one, bob)).toEqual([])
    expect(await read(bob, roomId)).toEqual(['hello'])
    expect(bob.node.complaints.filter((text) => text.includes('mail came to nothing')).length).toBe(1)
  })

  it('is delivered past a relay that lies', async () => {
    const lies: Readonly<Record<string, (mails: readonly KeptMail[]) => readonly KeptMail[]>> = {
      drops: () => [],
      repeats: (mails) => mails.flatMap((mail) => [mail, mail]),
      reorders: (mails) =>
        mails.toReversed().map(({ mail }, index) => ({ cursor: (mails[0]?.cursor ?? 0) + index, mail })),
      swaps: (mails) => mails.map((kept) => ({ ...kept, mail: { ...kept.mail, keyId: 'other' } })),
      truncates: (mails) =>
        mails.map((kept) => ({ ...kept, mail: { ...kept.mail, bytes: kept.mail.bytes.subarray(0, 1_000) } })),
    }
    const said: string[] = []
    for (const [index, [name, lie]] of Object.entries(lies).entries()) {
      one.lie = lie
      await leave(name, index)
      said.push(name)
      setAway(bob, false)
      await pass(MINUTE)
      setAway(bob)
      setAway(alice, false)
      await pass(MINUTE)
    }
    expect(await read(bob, roomId)).toEqual(said)
    expect(await inbox(bob)).toEqual([0, 1, 2, 3, 4])
  })

  it('goes to other relays once one has kept several for itself', async () => {
    const three = relays.add()
    relays.setUp(three, true)
    await pass(3_000)
    one.lie = () => []
    for (const n of [0, 1]) {
      await leave(String(n), n)
      setAway(bob, false)
      await pass(MINUTE)
      setAway(bob)
      setAway(alice, false)
      await pass(MINUTE)
    }
    const counts = (): readonly number[] =>
      [one, two, three].map(
        ({ deposits }) => deposits.filter(({ recipient }) => recipient === bob.node.name).length,
      )
    expect(counts()).toEqual([4, 4, 0])
    await leave('last', 2)
    expect(counts()).toEqual([4, 6, 2])
  })

  it('is kept by a relay that had no time for a registration at first', async () => {
    const three = relays.add()
    three.isBusy = true
    relays.setUp(three, true)
    await pass(3_000)
    three.isBusy = false
    await pass(2 * MINUTE)
    for (const relay of [one, two]) relays.setUp(relay, false)
    await leave('hello', 1)
    expect(mailFor(three, bob)).toHaveLength(2)
  })

  it('is left where a look-up says that its receiver takes mail from now on', async () => {
    setAway(bob)
    // Both relays are gone for good; Bob finds another one, of which Alice hears from nobody.
    relays.setUp(one, false)
    relays.setUp(two, false)
    const three = relays.add()
    relays.setOffline(bob.node.name, false)
    await pass(3_000)
    relays.setOffline(bob.node.name, true)
    const id = await say(alice, roomId, 'hello')
    await pass(HOUR)
    expect(await deliveryOf(alice, id)).toMatchObject({ atRelay: 1 })
    // With it goes where Alice takes mail from now on.
    expect(mailFor(three, bob).map(({ lane }) => lane)).toEqual(['events', 'keys'])
  })

  it('waits for a relay that has room, and is tried anew with each attempt to reach the receiver', async () => {
    one.refuse = two.refuse = () => 'quota'
    setAway(bob)
    const id = await say(alice, roomId, 'hello')
    await pass(MINUTE)
    expect(await deliveryOf(alice, id)).toMatchObject({ delivered: 0, atRelay: 0 })
    one.refuse = two.refuse = undefined
    await pass(30 * MINUTE)
    expect(await deliveryOf(alice, id)).toMatchObject({ delivered: 0, atRelay: 1 })
  })
})
