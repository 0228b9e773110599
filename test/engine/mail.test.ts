/** What is left at relays for who is away: that it arrives, once, and that its sender learns of it. */
import type { EventId, RoomId } from '@plexus/core'
import { StoreError, type KeptMail, type MailRefusal, type SealedMail } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createFakeRelays, createQuickSealer, type FakeRelay, type FakeRelays } from '../kit/mail-relay.ts'
import { createTestNetwork } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { testSigner } from '../kit/keys.ts'
import { bringIn, createRoom, read, say } from '../server-api/room.ts'
import { callerOf } from './users-kit.ts'

const FAR = 10 ** 9
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

describe('mail', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let one: FakeRelay
  let two: FakeRelay
  let alice: Member
  let bob: Member
  let roomId: RoomId

  beforeEach(async () => {
    relays = createFakeRelays()
    one = relays.add()
    two = relays.add()
    network = await createTestNetwork(['alice', 'bob'], 1, { mail: { relays, sealer: createQuickSealer(7) } })
    ;[alice, bob] = network.members as [Member, Member]
    roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await network.pass(3_000)
  })
  afterEach(() => network.close())

  /** In steps from timer to timer. */
  const pass = async (ms: number): Promise<void> => {
    await network.clock.advance(ms)
    await network.settle()
  }
  const setAway = (member: Member, isAway = true): void => {
    network.loopback.offline(member.node.name, isAway)
    relays.setOffline(member.node.name, isAway)
  }
  const sendToDevice = (from: Member, to: Member, n: number): Promise<void> => {
    const messages = { [to.user]: { [to.deviceId]: { n } } }
    return from.node.engine.users.toDevice.send(callerOf(from), 'm.test', `t${n}`, messages)
  }
  const inbox = async (member: Member): Promise<readonly unknown[]> => {
    const page = await member.node.engine.users.toDevice.inbox(callerOf(member), 0, FAR, 1_000)
    return page.events.map(({ content }) => content['n'])
  }
  const deliveryOf = (member: Member, id: EventId): Promise<unknown> =>
    member.node.engine.control.delivery(roomId, id)
  const incarnationOf = async ({ node }: Member): Promise<string> =>
    JSON.parse((await node.store.get('meta', 'incarnation\u0001')) ?? '""') as string
  const mailFor = (relay: FakeRelay, member: Member): readonly SealedMail[] => relay.waiting(member.node.name)
  /** A message and a to-device message of Alice while Bob is away, and then nobody is there. */
  const leave = async (text: string, n: number): Promise<EventId> => {
    setAway(bob)
    const id = await say(alice, roomId, text)
    await sendToDevice(alice, bob, n)
    await pass(MINUTE)
    setAway(alice)
    return id
  }

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

  it('is noted as arrived once the store of its sender takes that', async () => {
    const id = await leave('hello', 1)
    setAway(bob, false)
    await network.settle()
    const full = vi.spyOn(alice.node.store, 'commit').mockRejectedValue(new StoreError('full', 'no room'))
    const word = { incarnation: await incarnationOf(alice), committed: 1, transactions: {} }
    network.loopback.offline(bob.node.name, true)
    alice.node.engine.outbox.received(bob.node.name, word)
    await network.settle()
    expect(alice.node.complaints.join()).toContain('what arrived of our mail was not noted')
    full.mockRestore()
    setAway(alice, false)
    setAway(bob, false)
    await pass(20 * MINUTE)
    expect(await deliveryOf(alice, id)).toMatchObject({ delivered: 1, atRelay: 0 })
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

  it('is left again after a crash between the deposit and its commit, and arrives once', async () => {
    setAway(bob)
    const crashed = new Promise<void>((resolve) => {
      two.refuse = () => {
        alice.node.end()
        resolve()
        return 'quota'
      }
    })
    await sendToDevice(alice, bob, 1)
    await say(alice, roomId, 'hello')
    await crashed
    two.refuse = undefined
    alice = await network.restart(alice)
    await pass(MINUTE)
    setAway(alice)
    setAway(bob, false)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(['hello'])
    expect(await inbox(bob)).toEqual([1])
  })

  it('stays at the relay while the store takes nothing', async () => {
    await leave('hello', 1)
    const full = vi.spyOn(bob.node.store, 'commit').mockRejectedValue(new StoreError('full', 'no room'))
    setAway(bob, false)
    await network.settle()
    expect(mailFor(one, bob).length).toBe(2)
    full.mockRestore()
    await pass(2 * MINUTE)
    expect(mailFor(one, bob)).toEqual([])
    expect(await read(bob, roomId)).toEqual(['hello'])
  })

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

  it('that all relays lost is left again when a later one arrives, or when it is about to expire', async () => {
    await leave('first', 1)
    one.lie = two.lie = () => []
    setAway(bob, false)
    await network.settle()
    // The cursors pass it by, as if it had never been there.
    setAway(bob)
    setAway(alice, false)
    one.lie = two.lie = (mails) => mails.slice(2)
    await pass(30 * MINUTE)
    await leave('second', 2)
    setAway(bob, false)
    await pass(MINUTE)
    setAway(bob)
    one.lie = two.lie = undefined
    setAway(alice, false)
    await pass(40 * MINUTE)
    setAway(alice)
    setAway(bob, false)
    await pass(MINUTE)
    expect((await read(bob, roomId)).toSorted()).toEqual(['first', 'second'])
    // The later one did not wait for ever.
    expect(await inbox(bob)).toEqual([2, 1])
  })

  it('is left again in time where relays keep mail for a day', async () => {
    one.retentionMs = two.retentionMs = DAY
    await leave('hello', 1)
    const before = one.deposits.length
    setAway(alice, false)
    await pass(11 * HOUR)
    expect(one.deposits).toHaveLength(before)
    await pass(2 * HOUR)
    expect(one.deposits.length).toBeGreaterThan(before)
    setAway(alice)
    setAway(bob, false)
    await network.settle()
    expect(await read(bob, roomId)).toEqual(['hello'])
    expect(await inbox(bob)).toEqual([1])
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

  it('is left again after its receiver was restored from a backup that cannot open it', async () => {
    const backup = await bob.node.store.range('sealing-key', '', '\u00ff')
    await network.clock.advance(8 * DAY)
    await network.settle()
    await leave('hello', 1)
    const now = await bob.node.store.range('sealing-key', '', '\u00ff')
    expect(now.length).toBe(backup.length + 1)
    const lost = now.filter(([key]) => !backup.some(([known]) => known === key))
    await bob.node.store.commit(
      lost.map(([key]) => ({ map: 'sealing-key', key, value: undefined })),
      'strict',
    )
    bob = await network.restart(bob)
    setAway(bob, false)
    await network.settle()
    expect(await read(bob, roomId)).toEqual([])
    setAway(alice, false)
    await pass(20 * MINUTE)
    expect(await read(bob, roomId)).toEqual(['hello'])
    expect(await inbox(bob)).toEqual([1])
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
