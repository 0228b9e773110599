/** To-device messages that relays bring before those in front of them, or without. */
import type { JsonObject, RoomId, ServerName } from '@plexus/core'
import type { KeptMail } from '@plexus/engine/ports'
import {
  createCommitter,
  EARLY_WAIT_MS,
  loadEarlyEdus,
  MAX_EARLY_EDUS,
  MAX_EARLY_EDUS_OF_ALL,
  MAX_EARLY_LENGTH,
  MAX_EARLY_LENGTH_OF_ALL,
  type EarlyEdus,
} from '@plexus/engine/testing'
import { createMemoryStore } from '@plexus/store/memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeRelay, FakeRelays } from '../kit/mail-relay.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { createVirtualClock, type VirtualClock } from '../kit/virtual-clock.ts'
import { bringIn, createRoom } from '../server-api/room.ts'
import { createMailNetwork, mailKit, MINUTE } from './mail-kit.ts'

describe('to-device messages by mail', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let relay: FakeRelay
  let alice: Member
  let bob: Member

  beforeEach(async () => {
    const made = await createMailNetwork(['alice', 'bob'], 1)
    ;({ network, relays } = made)
    ;[relay] = made.all as [FakeRelay]
    ;[alice, bob] = network.members as [Member, Member]
    const roomId: RoomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await network.pass(3_000)
    setAway(bob, true)
    for (const n of [0, 1, 2]) {
      await sendToDevice(alice, bob, n)
      await pass(MINUTE)
    }
    setAway(alice, true)
  })
  afterEach(() => network.close())

  const { pass, setAway, sendToDevice, inbox, rowsOf } = mailKit(() => ({ network, relays }))

  it('are in their order, whatever order the relay has them in', async () => {
    relay.lie = (mails) =>
      mails.toReversed().map(({ mail }, index): KeptMail => ({ cursor: mails[index]?.cursor ?? 0, mail }))
    setAway(bob, false)
    await network.settle()
    expect(await inbox(bob)).toEqual([0, 1, 2])
    expect(await rowsOf(bob, 'early-edu')).toBe(0)
  })

  it('come without one that was lost, after a while and once, and that one when its sender is back', async () => {
    relay.lie = (mails) => mails.filter((_, index) => index > 0)
    setAway(bob, false)
    await network.settle()
    expect(await inbox(bob)).toEqual([])
    // What waits outlives the process.
    bob = await network.restart(bob)
    await pass(EARLY_WAIT_MS)
    expect(await inbox(bob)).toEqual([1, 2])
    bob = await network.restart(bob)
    await pass(EARLY_WAIT_MS)
    expect(await inbox(bob)).toEqual([1, 2])
    setAway(alice, false)
    await pass(20 * MINUTE)
    expect(await inbox(bob)).toEqual([1, 2, 0])
    await sendToDevice(alice, bob, 3)
    await pass(MINUTE)
    expect(await inbox(bob)).toEqual([1, 2, 0, 3])
    expect([await rowsOf(bob, 'early-edu'), await rowsOf(alice, 'edu')]).toEqual([0, 0])
  })
})

describe('early EDUs', () => {
  const alice = 'alice.example' as ServerName
  let early: EarlyEdus
  let clock: VirtualClock

  const load = async (): Promise<EarlyEdus> => {
    const store = await createMemoryStore()
    return loadEarlyEdus({
      store,
      committer: await createCommitter(store),
      clock,
      log: { log: () => undefined },
      sharesRoom: (name) => name !== 'stranger.example',
    })
  }
  beforeEach(async () => {
    clock = createVirtualClock()
    early = await load()
  })
  afterEach(() => early.close())

  const edu = (length = 0): JsonObject => ({ edu_type: 'm.test', content: { text: 'x'.repeat(length) } })
  const count = async (origin: ServerName): Promise<number> => (await early.waiting(origin)).length

  it('of one server are so many at most, and of so many bytes', async () => {
    const many = Array.from({ length: MAX_EARLY_EDUS + 5 }, () => edu())
    await early.keep(alice, 'a', { sequence: 2, edus: many })
    expect(await count(alice)).toBe(MAX_EARLY_EDUS)
    const bob = 'bob.example' as ServerName
    const long = Array.from({ length: 10 }, () => edu(MAX_EARLY_LENGTH / 8))
    await early.keep(bob, 'a', { sequence: 2, edus: long })
    expect(await count(bob)).toBe(7)
  })

  it('of all are so many at most', async () => {
    const many = Array.from({ length: MAX_EARLY_EDUS }, () => edu())
    const servers = Array.from({ length: 11 }, (_, n) => `s${n}.example` as ServerName)
    for (const server of servers) await early.keep(server, 'a', { sequence: 2, edus: many })
    const counts = await Promise.all(servers.map(count))
    expect(counts.reduce((sum, one) => sum + one)).toBe(MAX_EARLY_EDUS_OF_ALL)
  })

  it('of all are of so many bytes at most', async () => {
    const long = [edu(MAX_EARLY_LENGTH - 100)]
    const servers = Array.from({ length: 5 }, (_, n) => `s${n}.example` as ServerName)
    for (const server of servers) await early.keep(server, 'a', { sequence: 2, edus: long })
    const counts = await Promise.all(servers.map(count))
    expect(counts.reduce((sum, one) => sum + one)).toBe(MAX_EARLY_LENGTH_OF_ALL / MAX_EARLY_LENGTH)
  })

  it('that could not be applied are tried again', async () => {
    let tries = 0
    early.onDue(async () => {
      tries += 1
      if (tries < 3) throw new Error('a fault')
    })
    await early.keep(alice, 'a', { sequence: 2, edus: [edu()] })
    await clock.advance(5 * EARLY_WAIT_MS)
    expect(tries).toBe(3)
  })

  it('of strangers are not kept', async () => {
    const stranger = 'stranger.example' as ServerName
    await early.keep(stranger, 'a', { sequence: 2, edus: [edu()] })
    expect(await count(stranger)).toBe(0)
  })
})
