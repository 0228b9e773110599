/** What is left at relays for who is away: that it arrives, once, and that its sender learns of it. */
import type { RoomId } from '@plexus/core'
import type { MailRefusal, SealedMail } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeRelay, FakeRelays } from '../kit/mail-relay.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom, read, say } from '../server-api/room.ts'
import { correspondence, createCorrespondents, DAY, HOUR, MINUTE } from './mail-kit.ts'

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

  const { pass, setAway, sendToDevice, inbox, deliveryOf, mailFor, leave } = correspondence(() => ({
    network,
    relays,
    alice,
    bob,
    roomId,
  }))

  it('brings events and to-device messages to who comes when their sender is gone', async () => {
    const id = await leave('hello', 1)
    expect(await deliveryOf(alice, id)).toMatchObject({ delivered: 0, atRelay: 1, members: 1 })
    expect(
      mailFor(one, bob)
        .map(({ lane }) => lane)
        .toSorted(),
    ).toEqual(['events', 'keys'])
    setAway(bob, false)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(['hello'])
    expect(await inbox(bob)).toEqual([1])
    // From the other relay too, and again from both after a restart.
    expect([...mailFor(one, bob), ...mailFor(two, bob)]).toEqual([])
    bob = await network.restart(bob)
    await network.settle()
    expect(await inbox(bob)).toEqual([1])
  })

  it('tells the sender by mail that it came, after which nothing of it is left anywhere', async () => {
    const id = await leave('hello', 1)
    setAway(bob, false)
    await pass(MINUTE)
    setAway(bob)
    setAway(alice, false)
    await network.settle()
    expect(await deliveryOf(alice, id)).toMatchObject({ delivered: 1, atRelay: 0 })
    // Word of it is not acknowledged in turn.
    await pass(MINUTE)
    expect([...mailFor(one, alice), ...mailFor(one, bob), ...mailFor(two, bob)]).toEqual([])
    expect(await alice.node.engine.control.waiting()).toBe(0)
  })

  it('that came last is taken first where it needs nothing that came before it', async () => {
    const other = await createRoom(alice)
    await bringIn(alice, bob, other)
    await network.pass(3_000)
    setAway(bob)
    for (let n = 0; n < 12; n += 1) {
      await say(alice, roomId, String(n))
      await pass(MINUTE)
    }
    // In one mail.
    relays.setOffline(alice.node.name, true)
    for (const text of ['news', 'more']) await say(alice, other, text)
    await pass(MINUTE)
    relays.setOffline(alice.node.name, false)
    await pass(20 * MINUTE)
    setAway(alice)
    for (const relay of [one, two]) relay.lie = (mails, end) => (end === 'last' ? mails : [])
    const before = network.loopback.log.length
    setAway(bob, false)
    await network.settle()
    expect([await read(bob, other), await read(bob, roomId)]).toEqual([['news', 'more'], []])
    const asked = network.loopback.log.slice(before).filter(({ uri }) => uri.includes('get_missing_events'))
    expect(asked).toEqual([])
    // What came before it is not lost, and not left again.
    const { length } = one.deposits
    await pass(MINUTE)
    setAway(bob)
    setAway(alice, false)
    await pass(MINUTE)
    setAway(alice)
    expect(one.deposits.slice(length).filter(({ recipient }) => recipient === bob.node.name)).toEqual([])
    setAway(bob, false)
    await network.settle()
    for (const relay of [one, two]) {
      relay.lie = undefined
      relays.setUp(relay, true)
    }
    await network.settle()
    expect(await read(bob, roomId)).toEqual(Array.from({ length: 12 }, (_, n) => String(n)))
    expect(await read(bob, other)).toEqual(['news', 'more'])
    expect([...mailFor(one, bob), ...mailFor(two, bob)]).toEqual([])
  })

  it('goes both ways between two who are never there together', async () => {
    for (const [turn, [from, to]] of [
      [alice, bob],
      [bob, alice],
      [alice, bob],
      [bob, alice],
    ].entries()) {
      if (from === undefined || to === undefined) continue
      setAway(to)
      setAway(from, false)
      await pass(MINUTE)
      await say(from, roomId, String(turn))
      await sendToDevice(from, to, turn)
      await pass(MINUTE)
      setAway(from)
    }
    setAway(alice, false)
    await pass(MINUTE)
    expect(await read(alice, roomId)).toEqual(['0', '1', '2', '3'])
    expect(await read(bob, roomId)).toEqual(['0', '1', '2', '3'])
    expect(await inbox(alice)).toEqual([1, 3])
    expect(await inbox(bob)).toEqual([0, 2])
  })

  it('goes directly when the receiver is back before it has fetched its mail', async () => {
    setAway(bob)
    const id = await say(alice, roomId, 'hello')
    await pass(MINUTE)
    network.loopback.offline(bob.node.name, false)
    alice.node.engine.control.peerAppeared(bob.node.name)
    await network.settle()
    expect(await deliveryOf(alice, id)).toMatchObject({ delivered: 1, atRelay: 0 })
    relays.setOffline(bob.node.name, false)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(['hello'])
  })

  it('is cut to what a stranger may leave where its receiver has another access key by now', async () => {
    const refuse = ({ lane, bytes }: SealedMail): MailRefusal | undefined => {
      if (lane !== 'strangers') return 'bad-access'
      return bytes.length > 66_000 ? 'too-large' : undefined
    }
    one.refuse = refuse
    two.refuse = refuse
    const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(40_000))
    setAway(bob)
    for (const text of texts) await say(alice, roomId, text)
    await pass(MINUTE)
    setAway(alice)
    // Which of them come from one sender shows in no odd milliseconds.
    expect(mailFor(one, bob).map(({ expires }) => expires % HOUR)).toEqual([0, 0, 0])
    setAway(bob, false)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(texts)
  })

  it('is sealed to the newest key, which the relay tells to who knows an older one', async () => {
    const keysOf = async ({ node }: Member): Promise<number> =>
      (await node.store.range('sealing-key', '', '\u00ff')).length
    expect(await keysOf(bob)).toBe(1)
    // Bob rotates his key while Alice is away: she learns the new one from the relay.
    setAway(alice)
    await network.clock.advance(8 * DAY)
    await network.settle()
    expect(await keysOf(bob)).toBe(2)
    setAway(bob)
    setAway(alice, false)
    const id = await say(alice, roomId, 'hello')
    await pass(20 * MINUTE)
    expect(await deliveryOf(alice, id)).toMatchObject({ atRelay: 1 })
    setAway(alice)
    setAway(bob, false)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(['hello'])
  })

  it('is one per batch and of a fitting size when much has waited', async () => {
    one.refuse = two.refuse = () => 'quota'
    setAway(bob)
    for (let index = 0; index < 120; index += 1) await say(alice, roomId, `${index} ${'ö'.repeat(4_500)}`)
    one.refuse = two.refuse = undefined
    await pass(30 * MINUTE)
    const sizes = mailFor(one, bob).map(({ bytes }) => bytes.length - 48)
    expect(Math.max(...sizes)).toBe(256 * 1024)
    expect(sizes.length).toBeLessThan(8)
    setAway(alice)
    setAway(bob, false)
    await network.settle()
    expect((await read(bob, roomId)).length).toBe(120)
  })
})
