/** What is left at relays survives crashes, full stores and relays that lose it. */
import type { RoomId } from '@plexus/core'
import { StoreError } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FakeRelay, FakeRelays } from '../kit/mail-relay.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { read, say } from '../server-api/room.ts'
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
  const incarnationOf = async ({ node }: Member): Promise<string> =>
    JSON.parse((await node.store.get('meta', 'incarnation\u0001')) ?? '""') as string

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
})
