/** Send-to-device messages: to each device once, from here and from other servers. */
import type { JsonObject } from '@plexus/core'
import { createMemoryDisk } from '@plexus/store/memory'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLoopback } from '../kit/loopback.ts'
import { createTestNetwork, createTestNode } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'
import { bringIn, createRoom } from '../server-api/room.ts'
import { applyEdu, callerOf } from './users-kit.ts'

const FAR = 10 ** 9

describe('to-device messages', () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;[alice, bob] = network.members as [Member, Member]
  })
  afterEach(() => network.close())

  const toDevice = ({ node }: Member) => node.engine.users.toDevice
  const send = (
    from: Member,
    transaction: string,
    messages: Readonly<Record<string, JsonObject>>,
  ): Promise<void> => toDevice(from).send(callerOf(from), 'm.test', transaction, messages)
  const inbox = async (member: Member, from = 0, limit = 1_000): Promise<readonly unknown[]> => {
    const page = await toDevice(member).inbox(callerOf(member), from, FAR, limit)
    return page.events.map(({ content }) => content['n'])
  }
  const edu = (messageId: string, content: JsonObject, more: JsonObject = {}): JsonObject => ({
    sender: bob.user,
    type: 'm.test',
    message_id: messageId,
    messages: { [alice.user]: { [alice.deviceId]: content } },
    ...more,
  })
  const receive = (content: JsonObject, origin: string = bob.node.name): Promise<boolean> =>
    applyEdu(alice, 'm.direct_to_device', origin, content)

  it('carry sender, type and content', async () => {
    await send(alice, 't', { [alice.user]: { [alice.deviceId]: { n: 1 } } })
    const page = await toDevice(alice).inbox(callerOf(alice), 0, FAR, 10)
    expect(page.events).toEqual([{ sender: alice.user, type: 'm.test', content: { n: 1 } }])
  })

  it('are sent once for a transaction id, at once or one after the other or after a restart', async () => {
    const messages = {
      [alice.user]: { [alice.deviceId]: { n: 1 } },
      [bob.user]: { [bob.deviceId]: { n: 1 } },
    }
    await Promise.all([send(alice, 't', messages), send(alice, 't', messages)])
    await send(alice, 't', messages)
    alice = await network.restart(alice)
    await send(alice, 't', messages)
    await network.settle()
    expect(await inbox(alice)).toEqual([1])
    expect(await inbox(bob)).toEqual([1])
  })

  it('tell transactions of another type or device apart', async () => {
    const { accounts } = alice.node.engine.users
    const { deviceId } = await accounts.openSession(alice.user, {})
    const messages = { [alice.user]: { [alice.deviceId]: { n: 1 } } }
    await send(alice, 't', messages)
    await toDevice(alice).send(callerOf(alice), 'm.other', 't', messages)
    await toDevice(alice).send({ userId: alice.user, deviceId }, 'm.test', 't', messages)
    expect(await inbox(alice)).toEqual([1, 1, 1])
  })

  it('for all devices reach all of them, here and elsewhere', async () => {
    const second = await bob.node.engine.users.accounts.openSession(bob.user, {})
    await send(alice, 'a', { [bob.user]: { '*': { n: 1 } } })
    await send(bob, 'b', { [bob.user]: { '*': { n: 2 } } })
    await network.settle()
    expect(new Set(await inbox(bob))).toEqual(new Set([1, 2]))
    expect(new Set(await inbox({ ...bob, deviceId: second.deviceId }))).toEqual(new Set([1, 2]))
  })

  it('come page by page, and go when the client has them', async () => {
    for (let n = 0; n < 7; n += 1) await send(alice, `t${n}`, { [alice.user]: { [alice.deviceId]: { n } } })
    const first = await toDevice(alice).inbox(callerOf(alice), 0, FAR, 3)
    expect(first.events.map(({ content }) => content['n'])).toEqual([0, 1, 2])
    await toDevice(alice).acknowledge(callerOf(alice), first.position)
    expect(await inbox(alice)).toEqual([3, 4, 5, 6])
    const second = await toDevice(alice).inbox(callerOf(alice), first.position, FAR, 3)
    expect(second.events.map(({ content }) => content['n'])).toEqual([3, 4, 5])
    const last = await toDevice(alice).inbox(callerOf(alice), second.position, FAR, 3)
    expect(last).toMatchObject({ events: [{ content: { n: 6 } }], position: FAR })
  })

  it('of one commit are not torn apart by a page', async () => {
    const { edus } = alice.node.engine.users
    const contents = [0, 1, 2, 3].map((n) => edu(`m${n}`, { n }))
    const effects = await Promise.all(contents.map((one) => edus['m.direct_to_device'](bob.node.name, one)))
    await alice.node.engine.committer.submit({
      writes: (at) => effects.flatMap((one) => one?.writes(at) ?? []),
    })
    await send(alice, 't', { [alice.user]: { [alice.deviceId]: { n: 4 } } })
    const page = await toDevice(alice).inbox(callerOf(alice), 0, FAR, 2)
    expect(page.events.map(({ content }) => content['n'])).toEqual([0, 1, 2, 3])
    expect(await inbox(alice, page.position)).toEqual([4])
  })

  it('from another server come once for a message id', async () => {
    await receive(edu('m', { n: 1 }))
    await receive(edu('m', { n: 1 }))
    alice = await network.restart(alice)
    await receive(edu('m', { n: 1 }))
    await receive(edu('other', { n: 2 }))
    expect(await inbox(alice)).toEqual([1, 2])
  })

  it('from another server come once, also twice in one commit or in two that overlap', async () => {
    const { edus } = alice.node.engine.users
    const { committer } = alice.node.engine
    const [a, b, c] = await Promise.all(
      [1, 2, 3].map(() => edus['m.direct_to_device'](bob.node.name, edu('m', { n: 1 }))),
    )
    const both = committer.submit({ writes: (at) => [...(a?.writes(at) ?? []), ...(b?.writes(at) ?? [])] })
    const late = committer.submit({ writes: (at) => c?.writes(at) ?? [] })
    await Promise.all([both, late])
    expect(await inbox(alice)).toEqual([1])
  })

  it('that were not committed are taken when they come again', async () => {
    const clock = createVirtualClock()
    let fault: 'none' | 'failed' = 'none'
    const disk = createMemoryDisk({ fault: () => fault })
    const node = await createTestNode({ loopback: createLoopback({ clock }), clock, seed: 9, disk })
    const { userId: user, deviceId } = await node.signUp('carol')
    const carol: Member = { node, user, deviceId }
    const content = edu('m', {}, { messages: { [user]: { [deviceId]: { n: 1 } } } })
    fault = 'failed'
    await expect(applyEdu(carol, 'm.direct_to_device', bob.node.name, content)).rejects.toThrow()
    fault = 'none'
    await applyEdu(carol, 'm.direct_to_device', bob.node.name, content)
    await applyEdu(carol, 'm.direct_to_device', bob.node.name, content)
    expect(await inbox(carol)).toEqual([1])
    await node.close()
  })

  it('are of a sender of the server that brings them, for users and devices of this one', async () => {
    expect(await receive(edu('a', { n: 1 }), 'evil.example.org')).toBe(false)
    expect(await receive(edu('b', { n: 1 }, { sender: alice.user }))).toBe(false)
    expect(await receive(edu('c', { n: 1 }, { messages: { [bob.user]: { [bob.deviceId]: {} } } }))).toBe(
      false,
    )
    await receive(edu('d', { n: 1 }, { messages: { [alice.user]: { NOBODY: {} } } }))
    expect(await inbox(alice)).toEqual([])
    expect(await inbox({ ...alice, deviceId: 'NOBODY' })).toEqual([])
  })

  it('never throw, whatever another server sends', async () => {
    const json = fc.jsonValue({ maxDepth: 4 })
    const content = fc.record(
      {
        sender: fc.oneof(json, fc.constant(bob.user)),
        type: fc.oneof(json, fc.string()),
        message_id: fc.oneof(json, fc.string()),
        messages: fc.oneof(json, fc.dictionary(fc.oneof(fc.string(), fc.constant(alice.user)), json)),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(content, async (value) => {
        await receive(value)
      }),
      { numRuns: 100 },
    )
  })

  it.each([
    ['a message id that is too long', (given) => ({ ...given, message_id: 'x'.repeat(65) })],
    ['a type that is too long', (given) => ({ ...given, type: 'x'.repeat(256) })],
    ['no messages', (given) => ({ ...given, messages: undefined })],
  ] satisfies readonly (readonly [string, (edu: JsonObject) => JsonObject])[])(
    'are dropped with %s',
    async (_, change) => {
      await receive(change(edu('m', { n: 1 })))
      expect(await inbox(alice)).toEqual([])
    },
  )

  it('are bounded in length and number', async () => {
    const long = { [alice.user]: { [alice.deviceId]: { n: 'x'.repeat(70_000) } } }
    await expect(send(alice, 'a', long)).rejects.toMatchObject({ errcode: 'M_TOO_LARGE' })
    const many = Object.fromEntries(Array.from({ length: 5_001 }, (_, n) => [`D${n}`, {}]))
    await expect(send(alice, 'b', { [alice.user]: many })).rejects.toMatchObject({ errcode: 'M_BAD_JSON' })
    const fraction = { [bob.user]: { [bob.deviceId]: { n: 0.5 } } }
    await expect(send(alice, 'c', fraction)).rejects.toMatchObject({ errcode: 'M_BAD_JSON' })
    await expect(send(alice, 'x'.repeat(256), {})).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
  })

  it('do not fill the disk for a device that never comes', async () => {
    await bringIn(alice, bob, await createRoom(alice))
    await network.settle()
    const { users, committer } = alice.node.engine
    const content = { n: 'x'.repeat(65_000) }
    const fits = Math.floor((32 * 1024 * 1024) / JSON.stringify(content).length)
    for (let n = 0; n < fits + 5; n += 1) {
      const effect = await users.edus['m.direct_to_device'](bob.node.name, edu(`m${n}`, content))
      await committer.submit({ writes: (at) => effect?.writes(at) ?? [] })
    }
    expect(await inbox(alice)).toHaveLength(fits)
    expect(alice.node.complaints.some((line) => line.includes('the inbox is full'))).toBe(true)
    await toDevice(alice).acknowledge(callerOf(alice), FAR)
    await receive(edu('after', { n: 'after' }))
    expect(await inbox(alice)).toEqual(['after'])
  })

  it('go with their device', async () => {
    const { users } = alice.node.engine
    const second = await users.accounts.openSession(alice.user, { deviceId: 'SECOND' })
    await send(alice, 't', { [alice.user]: { SECOND: { n: 1 } } })
    await users.devices.delete(alice.user, ['SECOND'])
    await users.accounts.openSession(alice.user, { deviceId: 'SECOND' })
    expect(await inbox({ ...alice, deviceId: second.deviceId })).toEqual([])
  })

  it('for many devices of another server go in several EDUs, each within bounds', async () => {
    const devices = await Promise.all(
      Array.from({ length: 6 }, () => bob.node.engine.users.accounts.openSession(bob.user, {})),
    )
    const content = { n: 'x'.repeat(20_000) }
    await send(alice, 't', {
      [bob.user]: Object.fromEntries(devices.map(({ deviceId }) => [deviceId, content])),
    })
    await network.settle()
    for (const { deviceId } of devices) expect(await inbox({ ...bob, deviceId })).toHaveLength(1)
    const sizes = network.loopback.log
      .filter(({ uri }) => uri.includes('/send/'))
      .flatMap(({ enveloped }) => (enveloped.request.content as { edus: JsonObject[] }).edus)
      .map((one) => JSON.stringify(one).length)
    expect(sizes.length).toBeGreaterThan(1)
    expect(Math.max(...sizes)).toBeLessThan(65_536)
  })
})
