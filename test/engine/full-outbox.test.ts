/** What becomes of durable EDUs for a server that takes nothing for so long that there is room for no more. */
import type { JsonObject, ServerName } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom } from '../server-api/room.ts'
import { callerOf, crossSigningKey, deviceKeysOf, testKey } from './users-kit.ts'

const FAR = 10 ** 9
const EDU_LENGTH = 10_000
const MAX_WAITING_LENGTH = 10_000_000
/** What one server may have of it where nothing else waits, and more. */
const MUCH = MAX_WAITING_LENGTH / 16

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
    await fill(bob.node.name, MUCH)
  })
  afterEach(() => network.close())

  const upload = (deviceId: string): Promise<unknown> =>
    alice.node.engine.users.keys.upload(
      { userId: alice.user, deviceId },
      { deviceKeys: deviceKeysOf(alice.user, deviceId, testKey(1)) },
    )
  const fill = async (name: ServerName, length: number): Promise<void> => {
    const { committer, outbox } = alice.node.engine
    const edu = { edu_type: 'm.direct_to_device', content: { filler: 'x'.repeat(EDU_LENGTH) } }
    const count = Math.ceil(length / EDU_LENGTH)
    await committer.submit({
      writes: () => Array.from({ length: count }, () => outbox.queueDurable(name, edu)).flat(),
    })
  }
  const fillAll = (): Promise<void> =>
    fill('dead.example' as ServerName, MAX_WAITING_LENGTH - alice.node.engine.outbox.waitingLength)
  const send = (txnId: string, members: readonly Member[]): Promise<void> => {
    const messages: Record<string, JsonObject> = {}
    for (const { user, deviceId } of members) messages[user] = { [deviceId]: { n: 1 } }
    return alice.node.engine.users.toDevice.send(callerOf(alice), 'm.test', txnId, messages)
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
    await send('t', [bob, carol])
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

  it('refuses to-device messages for others, before they are acknowledged, while too much waits for all', async () => {
    await send('before', [carol])
    await fillAll()
    await expect(send('refused', [alice, carol])).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    // What was taken before is answered as it was, and what is for nobody else goes on.
    await send('before', [carol])
    await send('own', [alice])
    await network.settle()
    expect([await inbox(alice), await inbox(carol)]).toEqual([[1], [1]])
    // A restart counts the same.
    const { waitingLength } = alice.node.engine.outbox
    alice = await network.restart(alice)
    expect(alice.node.engine.outbox.waitingLength).toBe(waitingLength)
    await expect(send('refused', [alice, carol])).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
    network.loopback.offline(bob.node.name, false)
    await network.pass(60_000)
    await send('refused', [alice, carol])
    await network.settle()
    expect([await inbox(alice), await inbox(carol)]).toEqual([
      [1, 1],
      [1, 1],
    ])
  })

  it('tells those for whom nothing waited of changed device lists once there is room for all', async () => {
    expect(await devicesOfAlice(carol)).toEqual([alice.deviceId])
    await fillAll()
    await alice.node.engine.users.accounts.openSession(alice.user, { deviceId: 'SECOND' })
    await upload('SECOND')
    await network.settle()
    expect(await devicesOfAlice(carol)).toEqual([alice.deviceId])
    network.loopback.offline(bob.node.name, false)
    await network.pass(60_000)
    expect(await devicesOfAlice(carol)).toEqual(['SECOND', alice.deviceId].sort())
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
