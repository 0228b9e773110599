/** Whom this node tells how to leave mail for it, and what becomes of that when they part or the account is given up. */
import type { RoomId } from '@plexus/core'
import { accountRecords } from '@plexus/core/names'
import { ACCESS_KEY_INTERVAL_MS, contacts } from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeRelay, FakeRelays } from '../kit/mail-relay.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom } from '../server-api/room.ts'
import { createMailNetwork, mailKit, MINUTE } from './mail-kit.ts'

describe('mail for a node', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let relay: FakeRelay
  let alice: Member
  let bob: Member
  let carol: Member
  let roomId: RoomId
  let sent = 0

  beforeEach(async () => {
    const made = await createMailNetwork(['alice', 'bob', 'carol'], 1)
    ;({ network, relays } = made)
    ;[relay] = made.all as [FakeRelay]
    ;[alice, bob, carol] = network.members as [Member, Member, Member]
    roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await bringIn(alice, carol, roomId)
    await network.pass(3_000)
  })
  afterEach(() => network.close())

  const { pass, setAway, sendToDevice } = mailKit(() => ({ network, relays }))
  /** The lane that a to-device message is left in while its receiver is away; `undefined` when it is left nowhere. */
  const laneOf = async (from: Member, to: Member): Promise<string | undefined> => {
    setAway(to, true)
    const before = relay.deposits.length
    await sendToDevice(from, to, (sent += 1))
    await pass(MINUTE)
    const lane = relay.deposits.slice(before).find(({ recipient }) => recipient === to.node.name)?.lane
    setAway(to, false)
    await network.pass(2_000)
    return lane
  }
  const ignore = (member: Member, users: readonly string[]): Promise<unknown> => {
    const ignored = Object.fromEntries(users.map((user) => [user, {}]))
    const { accountData } = member.node.engine.users
    return accountData.set(member.user, undefined, 'm.ignored_user_list', { ignored_users: ignored })
  }
  const contactOf = (member: Member, other: Member) => contacts.get(member.node.store, [other.node.name])
  const keyAt = async (member: Member, other: Member): Promise<string | undefined> =>
    (await contactOf(member, other))?.accessKey

  it('comes from who left the last shared room as from a stranger, and from the others as before', async () => {
    expect([await laneOf(bob, alice), await laneOf(carol, alice)]).toEqual(['keys', 'keys'])
    const before = await keyAt(carol, alice)
    await bob.node.engine.rooms.leave(bob.user, roomId)
    await network.pass(3_000)
    const after = await keyAt(carol, alice)
    expect([after === before, (await keyAt(bob, alice)) === before]).toEqual([false, true])
    expect([await laneOf(bob, alice), await laneOf(carol, alice)]).toEqual(['strangers', 'keys'])
    // Who slept meanwhile is told by its mail, and writes as a stranger until then.
    await bringIn(alice, bob, roomId)
    await network.pass(3_000)
    expect(await laneOf(bob, alice)).toBe('keys')
  })

  it('comes as from strangers from who is blocked, until that ends', async () => {
    await ignore(alice, [bob.user])
    await network.pass(3_000)
    expect([await laneOf(bob, alice), await laneOf(carol, alice)]).toEqual(['strangers', 'keys'])
    await ignore(alice, [])
    await network.pass(3_000)
    expect(await laneOf(bob, alice)).toBe('keys')
  })

  it('has another key at most once an hour, though who has it comes and goes', async () => {
    const seen = new Set<string | undefined>()
    for (let round = 0; round < 3; round += 1) {
      await bob.node.engine.rooms.leave(bob.user, roomId)
      await network.pass(3_000)
      seen.add(await keyAt(carol, alice))
      await bringIn(alice, bob, roomId)
      await network.pass(3_000)
    }
    expect(seen.size).toBe(1)
    await bob.node.engine.rooms.leave(bob.user, roomId)
    await network.clock.advance(ACCESS_KEY_INTERVAL_MS)
    await network.pass(3_000)
    seen.add(await keyAt(carol, alice))
    expect(seen.size).toBe(2)
  })

  it('has the new key after a restart, and so has the relay', async () => {
    await bob.node.engine.rooms.leave(bob.user, roomId)
    await network.pass(3_000)
    const before = await keyAt(carol, alice)
    alice = await network.restart(alice)
    await network.pass(3_000)
    expect([await keyAt(carol, alice), await laneOf(carol, alice)]).toEqual([before, 'keys'])
  })

  it('ends with the account: relays, directory and contacts have its tombstone for ever', async () => {
    await alice.node.engine.users.accounts.deactivate(alice.user)
    await network.pass(3_000)
    const published = relays.published.get(alice.node.name)
    expect(published?.record.tombstone).toBe('dead')
    expect(published && accountRecords.check(published, Number.MAX_SAFE_INTEGER)).toBeUndefined()
    expect((await contactOf(bob, alice))?.signed).toEqual(published)
    expect(await laneOf(bob, alice)).toBeUndefined()
    await expect(alice.node.engine.control.session()).rejects.toMatchObject({ errcode: 'M_USER_DEACTIVATED' })
    // Neither time nor a restart makes another record.
    alice = await network.restart(alice)
    await network.clock.advance(24 * 60 * MINUTE)
    await network.settle()
    expect(relays.published.get(alice.node.name)).toEqual(published)
  })

  it('ends also where the node went down before it could say so', async () => {
    relays.setUp(relay, false)
    await alice.node.engine.users.accounts.deactivate(alice.user)
    alice.node.end()
    relays.setUp(relay, true)
    alice = await network.restart(alice)
    await network.pass(3_000)
    expect(relays.published.get(alice.node.name)?.record.tombstone).toBe('dead')
  })
})
