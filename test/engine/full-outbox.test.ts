/** What becomes of durable EDUs for a server that takes nothing for so long that there is room for no more. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom } from '../server-api/room.ts'
import { callerOf, crossSigningKey, deviceKeysOf, testKey } from './users-kit.ts'

const FAR = 10 ** 9
const EDU_LENGTH = 10_000
const MAX_WAITING_LENGTH = 1_000_000

describe('an outbox that is full for one server', () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let carol: Member

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob', 'carol'], 1, { maxWaitingLength: MAX_WAITING_LENGTH })
    ;[alice, bob, carol] = network.members as [Member, Member, Member]
    const roomId = await createRoom(alice)
    for (const member of [bob, carol]) await bringIn(alice, member, roomId)
    await upload(alice.deviceId)
    await network.settle()
    expect(await devicesOfAlice(bob)).toEqual([alice.deviceId])
    network.loopback.offline(bob.node.name)
    await fill()
  })
  afterEach(() => network.close())

  const upload = (deviceId: string): Promise<unknown> =>
    alice.node.engine.users.keys.upload(
      { userId: alice.user, deviceId },
      { deviceKeys: deviceKeysOf(alice.user, deviceId, testKey(1)) },
    )
  const fill = async (): Promise<void> => {
    const { committer, outbox } = alice.node.engine
    const edu = { edu_type: 'm.direct_to_device', content: { filler: 'x'.repeat(EDU_LENGTH) } }
    const count = Math.ceil(MAX_WAITING_LENGTH / EDU_LENGTH)
    await committer.submit({
      writes: () => Array.from({ length: count }, () => outbox.queueDurable(bob.node.name, edu)).flat(),
    })
  }
  const waiting = async (): Promise<number> =>
    (await alice.node.store.range('edu', bob.node.name, `${bob.node.name}\u00ff`)).length
  const answerTo = ({ node, user }: Member) => node.engine.users.keys.query(user, { [alice.user]: [] })
  const devicesOfAlice = async (member: Member): Promise<readonly string[]> =>
    Object.keys((await answerTo(member)).device_keys[alice.user] ?? {})
  const inbox = async ({ node, ...member }: Member): Promise<readonly unknown[]> => {
    const page = await node.engine.users.toDevice.inbox(callerOf({ node, ...member }), 0, FAR, 100)
    return page.events.map(({ content }) => content['n'])
  }

  it('takes to-device messages for the others only', async () => {
    const before = await waiting()
    const messages: Record<string, JsonObject> = {}
    for (const { user, deviceId } of [bob, carol]) messages[user] = { [deviceId]: { n: 1 } }
    await alice.node.engine.users.toDevice.send(callerOf(alice), 'm.test', 't', messages)
    await network.settle()
    expect([await waiting(), await inbox(carol)]).toEqual([before, [1]])
  })

  it('takes no changes of device lists, and tells of them once there is room', async () => {
    const before = await waiting()
    await alice.node.engine.users.accounts.openSession(alice.user, { deviceId: 'SECOND' })
    await upload('SECOND')
    await alice.node.engine.users.devices.delete(alice.user, [alice.deviceId])
    const master = crossSigningKey(alice.user, 'master', testKey(5))
    await alice.node.engine.users.keys.uploadCrossSigning(alice.user, { master })
    expect(await waiting()).toBe(before)
    alice = await network.restart(alice)
    network.loopback.offline(bob.node.name, false)
    await network.pass(60_000)
    expect(await waiting()).toBe(0)
    expect(await devicesOfAlice(bob)).toEqual(['SECOND'])
    expect((await answerTo(bob)).master_keys[alice.user]).toEqual(master)
    // The next change follows.
    await alice.node.engine.users.accounts.openSession(alice.user, { deviceId: 'THIRD' })
    await upload('THIRD')
    await network.settle()
    expect(await devicesOfAlice(bob)).toEqual(['SECOND', 'THIRD'])
  })

  it('tells also of signing keys alone once there is room', async () => {
    const master = crossSigningKey(alice.user, 'master', testKey(5))
    await alice.node.engine.users.keys.uploadCrossSigning(alice.user, { master })
    network.loopback.offline(bob.node.name, false)
    await network.pass(60_000)
    expect(await waiting()).toBe(0)
    expect((await answerTo(bob)).master_keys[alice.user]).toEqual(master)
  })
})
