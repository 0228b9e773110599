/** The clock of a node is wrong by a year for a while: nothing acknowledged is lost, and all works again once it is right. */
import type { RoomId } from '@plexus/core'
import type { Clock } from '@plexus/engine/ports'
import { afterEach, describe, expect, it } from 'vitest'
import { createFakeRelays, createQuickSealer, type FakeRelays } from '../kit/mail-relay.ts'
import { keysOf } from '../kit/node.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'
import { createNetwork, type Member, type TestNetwork } from '../kit/whole-node.ts'
import { bringIn, createRoom, read, say } from '../server-api/room.ts'
import { callerOf } from './users-kit.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365 * DAY
const FAR = 10 ** 9

/** Alice, and Bob, whose clock jumps. */
type World = {
  readonly network: TestNetwork
  readonly relays: FakeRelays
  readonly roomId: RoomId
  readonly alice: Member
  bob: Member
  jump(ms: number): Promise<void>
  readonly pass: (ms: number) => Promise<void>
  setAway(member: Member, isAway?: boolean): void
  sendToDevice(from: Member, to: Member, n: number): Promise<void>
  inbox(member: Member): Promise<readonly unknown[]>
}

async function createWorld(): Promise<World> {
  const clock = createVirtualClock()
  let off = 0
  const bobs: Clock = { now: () => clock.now() + off, after: (ms, run) => clock.after(ms, run) }
  const relays = createFakeRelays()
  relays.add()
  relays.add()
  const sealer = createQuickSealer(7)
  const network = await createNetwork(['alice', 'bob'], clock, async (index) => ({
    seed: index + 1,
    keys: keysOf(index + 1),
    mail: { relays, sealer },
    ...(index === 1 ? { clock: bobs } : {}),
  }))
  const [alice, bob] = network.members as [Member, Member]
  const roomId = await createRoom(alice)
  await bringIn(alice, bob, roomId)
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms)
    await network.settle()
  }
  await pass(HOUR)
  return {
    network,
    relays,
    roomId,
    alice,
    bob,
    pass,
    async jump(ms) {
      off += ms
      await pass(HOUR)
    },
    setAway(member, isAway = true) {
      network.loopback.offline(member.node.name, isAway)
      relays.setOffline(member.node.name, isAway)
    },
    async sendToDevice(from, to, n) {
      const messages = { [to.user]: { [to.deviceId]: { n } } }
      await from.node.engine.users.toDevice.send(callerOf(from), 'm.test', `t${n}`, messages)
    },
    async inbox(member) {
      const page = await member.node.engine.users.toDevice.inbox(callerOf(member), 0, FAR, 1_000)
      return page.events.map(({ content }) => content['n'])
    },
  }
}

describe('a clock that is wrong by a year for a day', () => {
  let world: World
  afterEach(() => world.network.close())

  it.each([
    ['ahead', YEAR, false],
    ['ahead, while the node starts twice,', YEAR, true],
    ['back, while the node starts twice,', -YEAR, true],
  ])('and set %s costs nothing that was acknowledged', async (_, year, restarts) => {
    world = await createWorld()
    const { network, alice, roomId, pass } = world
    const restart = async (): Promise<void> => {
      if (restarts) world.bob = await network.restart(world.bob)
    }
    const both = async (text: string, n: number): Promise<void> => {
      await say(alice, roomId, `a ${text}`)
      await say(world.bob, roomId, `b ${text}`)
      await world.sendToDevice(alice, world.bob, n)
      await world.sendToDevice(world.bob, alice, n)
    }
    await both('before', 1)
    await pass(HOUR)
    // Left for each other, in part with the wrong clock.
    world.setAway(world.bob)
    await both('apart', 2)
    await pass(HOUR)
    await world.jump(year)
    await both('wrong and apart', 3)
    await pass(HOUR)
    world.setAway(world.bob, false)
    await restart()
    await both('wrong', 4)
    await pass(20 * HOUR)
    await world.jump(-year)
    await restart()
    await both('right', 5)
    await pass(2 * HOUR)
    // One is away as the other writes, and the other way round.
    world.setAway(world.bob)
    await say(alice, roomId, 'a mail')
    await world.sendToDevice(alice, world.bob, 6)
    await pass(HOUR)
    world.setAway(alice)
    world.setAway(world.bob, false)
    await pass(HOUR)
    await say(world.bob, roomId, 'b mail')
    await world.sendToDevice(world.bob, alice, 6)
    await pass(HOUR)
    expect(await world.inbox(world.bob)).toEqual([1, 2, 3, 4, 5, 6])
    world.setAway(world.bob)
    world.setAway(alice, false)
    await pass(HOUR)
    expect(await world.inbox(alice)).toEqual([1, 2, 3, 4, 5, 6])
    world.setAway(world.bob, false)
    await pass(HOUR)
    const all = ['before', 'apart', 'wrong and apart', 'wrong', 'right', 'mail']
    const said = all.flatMap((text) => [`a ${text}`, `b ${text}`]).toSorted()
    expect((await read(alice, roomId)).toSorted()).toEqual(said)
    expect((await read(world.bob, roomId)).toSorted()).toEqual(said)
  })
})
