/** An account that was imported at another device: that one has it for good, and the one before says so. */
import type { RoomId } from '@plexus/core'
import type { Clock } from '@plexus/engine/ports'
import { contacts } from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFakeRelays, createQuickSealer, type FakeRelay, type FakeRelays } from '../kit/mail-relay.ts'
import {
  createTestNetwork,
  createTestNode,
  type Member,
  type TestNetwork,
  type TestNode,
} from '../kit/node.ts'
import { bringIn, createRoom, read, say } from '../server-api/room.ts'
import { callerOf, deviceKeysOf, testKey } from './users-kit.ts'

const FAR = 10 ** 9
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const SEED = 1
/** Of the device that the account is imported at. */
const OTHER_PEER = `12D3KooW${'y'.repeat(44)}`

describe('an account that is imported at another device', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let relay: FakeRelay
  let alice: Member
  let bob: Member
  let roomId: RoomId
  const opened: TestNode[] = []

  beforeEach(async () => {
    relays = createFakeRelays()
    relay = relays.add()
    const mail = { relays, sealer: createQuickSealer(7) }
    network = await createTestNetwork(['bob', 'alice'], SEED, { mail })
    ;[bob, alice] = network.members as [Member, Member]
    roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await network.pass(3_000)
  })
  afterEach(async () => {
    for (const node of opened.splice(0)) await node.close()
    await network.close()
  })

  const pass = async (ms: number): Promise<void> => {
    await network.clock.advance(ms)
    await network.settle()
  }
  /** Opens the account where nothing is of the old device but the key. */
  const importIt = async (behindMs = 0): Promise<Member> => {
    const { loopback, clock: right } = network
    const clock: Clock = { now: () => right.now() - behindMs, after: (ms, run) => right.after(ms, run) }
    const mail = { relays, sealer: createQuickSealer(8), peerId: OTHER_PEER }
    const node = await createTestNode({ loopback, clock, seed: SEED, restarts: 50, mail })
    opened.push(node)
    const { userId: user, deviceId } = await node.signUp('bob')
    await pass(3_000)
    return { node, user, deviceId }
  }
  const reopen = async ({ node, ...member }: Member, takeBack = false): Promise<Member> => {
    const again = { ...member, node: await node.restart(undefined, { takeBack }) }
    opened.push(again.node)
    await pass(3_000)
    return again
  }
  const keeper = (of: FakeRelay = relay): readonly string[] | undefined =>
    of.recordOf(bob.node.name)?.record.devices
  const published = (): readonly string[] | undefined => relays.published.get(bob.node.name)?.record.devices
  /** That came from a node of the account. */
  const requests = (): number => network.loopback.log.filter(({ from }) => from === bob.node.name).length
  const isReplaced = ({ node }: Member): boolean => node.engine.control.isReplaced()
  /** To a device of the account, by mail where its node is away. */
  const write = async (to: Member, n: number): Promise<void> => {
    const messages = { [to.user]: { [to.deviceId]: { n } } }
    await alice.node.engine.users.toDevice.send(callerOf(alice), 'm.test', `t${n}`, messages)
    await pass(MINUTE)
  }
  const inbox = async (of: Member): Promise<readonly unknown[]> => {
    const page = await of.node.engine.users.toDevice.inbox(callerOf(of), 0, FAR, 1_000)
    return page.events.map(({ content }) => content['n'])
  }

  it('stays at that one when the old one starts again, whose mail that leaves alone', async () => {
    bob.node.end()
    const imported = await importIt()
    expect([keeper(), published()]).toEqual([[OTHER_PEER], [OTHER_PEER]])
    imported.node.end()
    await write(imported, 1)
    const waiting = relay.waiting(bob.node.name).length
    expect(waiting).toBeGreaterThan(0)

    await pass(13 * HOUR)
    let old = await reopen(bob)
    expect(isReplaced(old)).toBe(true)
    const sent = requests()
    old = await reopen(old)
    expect(isReplaced(old)).toBe(true)
    await say(old, roomId, 'of the old one')
    await pass(13 * HOUR)
    expect(requests()).toBe(sent)
    expect([keeper(), published()]).toEqual([[OTHER_PEER], [OTHER_PEER]])
    expect(relay.waiting(bob.node.name)).toHaveLength(waiting)
    old.node.end()
    const again = await reopen(imported)
    expect(isReplaced(again)).toBe(false)
    expect(await inbox(again)).toEqual([1])
  })

  it('goes there also where the clock of that one is behind by days', async () => {
    bob.node.end()
    const imported = await importIt(72 * HOUR)
    expect([keeper(), isReplaced(imported)]).toEqual([[OTHER_PEER], false])
    expect(isReplaced(await reopen(bob))).toBe(true)
  })

  it('goes there also where its relays know nothing of the account, which the network knows to be of later', async () => {
    bob.node.end()
    relays.setUp(relay, false)
    const second = relays.add()
    const imported = await importIt(72 * HOUR)
    await pass(13 * HOUR)
    expect(isReplaced(imported)).toBe(false)
    expect([keeper(second), published()]).toEqual([[OTHER_PEER], [OTHER_PEER]])
  })

  it('is told to the old one while it runs, which sends and takes nothing from then on', async () => {
    let told = 0
    bob.node.engine.control.watchReplaced(() => (told += 1))
    await say(bob, roomId, 'before')
    await network.settle()
    await importIt()
    // Its next look at the relay.
    await pass(HOUR)
    expect([isReplaced(bob), told]).toEqual([true, 1])

    await say(bob, roomId, 'after')
    const deposits = relay.deposits.length
    await pass(HOUR)
    expect(await read(alice, roomId)).toEqual(['before'])
    expect(relay.deposits).toHaveLength(deposits)
    const nothing = { origin: alice.node.name, pdus: [], edus: [] }
    await expect(bob.node.engine.inbound.transaction(nothing)).rejects.toMatchObject({ code: 'closed' })
    expect([keeper(), told]).toEqual([[OTHER_PEER], 1])
  })

  it('is found out by a look-up before a record is made, where the relays do not know of it', async () => {
    const second = relays.add()
    relays.setUp(second, true)
    await pass(3_000)
    const [device = ''] = keeper(second) ?? []
    bob.node.end()
    relays.setUp(second, false)
    ;(await importIt()).node.end()
    relays.setUp(relay, false)
    relays.setUp(second, true)
    await pass(13 * HOUR)
    const before = second.recordOf(bob.node.name)
    const old = await reopen(bob)
    expect(isReplaced(old)).toBe(true)
    expect([second.recordOf(bob.node.name), keeper(second)]).toEqual([before, [device]])
  })

  it.each([
    ['within the hour', 0, HOUR],
    ['when it comes back to the network', 40 * MINUTE, MINUTE],
  ])(
    'is found out by the old one while it runs, where its relays do not know of it: %s',
    async (_, beforeMs, afterMs) => {
      const second = relays.add()
      relays.setUp(second, true)
      await pass(3_000)
      expect(keeper(second)).toBeDefined()
      relays.setUp(second, false)
      await pass(beforeMs)
      ;(await importIt()).node.end()
      relays.setUp(relay, false)
      relays.setUp(second, true)
      await pass(afterMs)
      expect(isReplaced(bob)).toBe(true)
      expect(keeper(second)).not.toContain(OTHER_PEER)
    },
  )

  it('goes on as a new store where it is taken back: what others told meanwhile came to the other one', async () => {
    const keysOf = (of: Member) => of.node.engine.users.keys
    const upload = (deviceId: string): Promise<unknown> => {
      const deviceKeys = deviceKeysOf(alice.user, deviceId, testKey(1))
      return keysOf(alice).upload({ userId: alice.user, deviceId }, { deviceKeys })
    }
    const devices = async (of: Member): Promise<readonly string[]> => {
      const answer = await keysOf(of).query(of.user, { [alice.user]: [] })
      return Object.keys(answer.device_keys[alice.user] ?? {})
    }
    await upload(alice.deviceId)
    expect(await devices(bob)).toEqual([alice.deviceId])
    bob.node.end()
    await importIt()
    await alice.node.engine.users.accounts.openSession(alice.user, { deviceId: 'SECOND' })
    await upload('SECOND')
    await pass(MINUTE)
    const old = await reopen(await reopen(bob), true)
    expect(old.node.engine.incarnation).not.toBe(bob.node.engine.incarnation)
    expect(await devices(old)).toEqual([alice.deviceId, 'SECOND'].toSorted())
  })

  it('is taken back when the old one is told to, and then the other one gives way', async () => {
    const [device = ''] = keeper() ?? []
    bob.node.end()
    const imported = await importIt()
    let old = await reopen(bob)
    await pass(HOUR)
    old = await reopen(old, true)
    expect([keeper(), published()]).toEqual([[device], [device]])
    await pass(HOUR)
    expect([isReplaced(old), isReplaced(imported)]).toEqual([false, true])
    const known = await contacts.get(alice.node.store, [bob.node.name])
    expect(known?.signed.record.devices).toEqual([device])
  })
})
