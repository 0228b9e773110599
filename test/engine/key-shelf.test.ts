/** Keys of who is away, from relays that are believed in nothing. */
import type { JsonObject, UserId } from '@plexus/core'
import { MAX_SHELF_KEYS_OF_NAME } from '@plexus/core/names'
import { MIGRATIONS } from '@plexus/engine'
import type { ShelfAnswer } from '@plexus/engine/ports'
import { DEVICE_SETTLE_MS, MAX_SEEN_SHELVES, seenShelves } from '@plexus/engine/testing'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { FakeRelay, FakeRelays } from '../kit/mail-relay.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { createMailNetwork, DAY, HOUR, mailKit, MINUTE } from './mail-kit.ts'
import { ALGORITHM, callerOf, deviceKeysOf, signed, testKey } from './users-kit.ts'

const BOB_KEY = testKey(5)

describe('a key shelf', () => {
  let network: TestNetwork
  let relays: FakeRelays
  let one: FakeRelay
  let two: FakeRelay
  let alice: Member
  let bob: Member

  const { pass, setAway } = mailKit(() => ({ network, relays }))
  const keyNamed = (name: string, more: JsonObject = {}): JsonObject => ({
    [`${ALGORITHM}:${name}`]: signed({ key: name, ...more }, bob.user, `ed25519:${bob.deviceId}`, BOB_KEY),
  })
  const keysFrom = (from: number, count: number): JsonObject =>
    Object.assign({}, ...Array.from({ length: count }, (_, n) => keyNamed(`K${from + n}`)))
  const upload = (from: number, count: number, fallback = 'F1') =>
    bob.node.engine.users.keys.upload(callerOf(bob), {
      deviceKeys: deviceKeysOf(bob.user, bob.deviceId, BOB_KEY),
      oneTimeKeys: keysFrom(from, count),
      fallbackKeys: keyNamed(fallback, { fallback: true }),
    })
  const claim = async (): Promise<string | undefined> => {
    const answer = await alice.node.engine.users.keys.claim({ [bob.user]: { [bob.deviceId]: ALGORITHM } })
    return Object.keys(answer.one_time_keys[bob.user]?.[bob.deviceId] ?? {})[0]
  }
  const query = () => alice.node.engine.users.keys.query(alice.user, { [bob.user]: [] })
  /** The direct attempt has its time first. */
  const later = async <T>(work: Promise<T>): Promise<T> => {
    await pass(10_000)
    return work
  }

  beforeEach(async () => {
    const made = await createMailNetwork(['alice', 'bob'], 2)
    ;({ network, relays } = made)
    ;[one, two] = made.all as [FakeRelay, FakeRelay]
    ;[alice, bob] = network.members as [Member, Member]
    await upload(0, 50)
    await pass(MINUTE)
    setAway(bob)
  })
  afterEach(() => network.close())

  it('shows the devices of somebody who is away and whom nobody here has met', async () => {
    const answer = await later(query())
    expect(answer.device_keys[bob.user]?.[bob.deviceId]).toMatchObject(
      deviceKeysOf(bob.user, bob.deviceId, BOB_KEY),
    )
    expect(answer.failures).toEqual({})
  })

  it('shows a device almost as soon as it has keys', async () => {
    setAway(bob, false)
    await pass(MINUTE)
    await bob.node.engine.users.accounts.openSession(bob.user, { deviceId: 'NEW' })
    const keys = deviceKeysOf(bob.user, 'NEW', BOB_KEY)
    await bob.node.engine.users.keys.upload({ userId: bob.user, deviceId: 'NEW' }, { deviceKeys: keys })
    await pass(DEVICE_SETTLE_MS)
    setAway(bob)
    expect(Object.keys((await later(query())).device_keys[bob.user] ?? {})).toContain('NEW')
  })

  it('gives each one-time key once, then the fallback key, and none that its owner has left', async () => {
    const given: (string | undefined)[] = []
    for (let n = 0; n < 22; n += 1) given.push(await later(claim()))
    expect(new Set(given.slice(0, 20)).size).toBe(20)
    expect(given.slice(20)).toEqual([`${ALGORITHM}:F1`, `${ALGORITHM}:F1`])
    setAway(bob, false)
    const direct: (string | undefined)[] = []
    for (let n = 0; n < 10; n += 1) direct.push(await later(claim()))
    expect(direct.filter((name) => given.includes(name))).toEqual([])
  })

  it('is filled again with other keys when its owner is back, who hears that the fallback key was given', async () => {
    const given: (string | undefined)[] = []
    for (let n = 0; n < 21; n += 1) given.push(await later(claim()))
    const before = await bob.node.engine.users.keys.counts(callerOf(bob))
    expect(before).toMatchObject({ oneTimeKeys: { [ALGORITHM]: 30 }, unusedFallbackTypes: [ALGORITHM] })
    setAway(bob, false)
    await pass(HOUR + MINUTE)
    expect((await bob.node.engine.users.keys.counts(callerOf(bob))).unusedFallbackTypes).toEqual([])
    // What was given out is not taken again.
    await upload(0, 50, 'F2')
    await pass(MINUTE)
    setAway(bob)
    for (let n = 0; n < 5; n += 1) given.push(await later(claim()))
    const oneTime = given.filter((name) => name !== `${ALGORITHM}:F1`)
    expect(oneTime).toHaveLength(25)
    expect(new Set(oneTime).size).toBe(25)
  })

  it('shows a device no more once a newer one without it was seen, whatever an older relay says', async () => {
    two.isUp = false
    setAway(bob, false)
    await bob.node.engine.users.devices.create({ userId: bob.user, deviceId: 'NEW' }, 'new')
    await bob.node.engine.users.devices.delete(bob.user, [bob.deviceId])
    await pass(MINUTE)
    setAway(bob)
    two.isUp = true
    expect(Object.keys((await later(query())).device_keys[bob.user] ?? {})).toEqual([])
    one.isUp = false
    expect((await later(query())).failures).toHaveProperty([bob.node.name])
    expect(await later(claim())).toBeUndefined()
  })

  it('counts for a month after its owner was here last', async () => {
    bob.node.end()
    await pass(29 * DAY)
    expect(await later(claim())).toBeDefined()
    await pass(3 * DAY)
    expect(await later(claim())).toBeUndefined()
  })

  it.each([
    [
      'signed by nobody',
      (answer: ShelfAnswer) => ({ ...answer, shelf: { ...answer.shelf, signature: 'AAAA' } }),
    ],
    [
      'with another device',
      ({ shelf, keys }: ShelfAnswer) => {
        const list = { ...shelf.record.list, devices: [{ device_id: 'EVE', keys: {} }] }
        return { keys, shelf: { ...shelf, record: { ...shelf.record, list } } }
      },
    ],
    [
      'of another user',
      ({ shelf, keys }: ShelfAnswer) => ({
        keys,
        shelf: { ...shelf, record: { ...shelf.record, user: alice.user } },
      }),
    ],
  ])('is not believed when a relay shows one %s', async (_what, lie) => {
    one.lieOfShelf = lie
    two.lieOfShelf = lie
    expect((await later(query())).failures).toHaveProperty([bob.node.name])
    expect(await later(claim())).toBeUndefined()
    one.lieOfShelf = undefined
    expect(await later(claim())).toBeDefined()
  })

  it('gives a relay that says it has none left no more than a shelf of keys in half an hour', async () => {
    one.lieOfCounts = (counts) =>
      Object.fromEntries(Object.keys(counts).map((id) => [id, { left: 0, fallbackUsed: true }]))
    setAway(bob, false)
    const left = async (): Promise<number | undefined> =>
      (await bob.node.engine.users.keys.counts(callerOf(bob))).oneTimeKeys[ALGORITHM]
    for (let n = 0; n < 10; n += 1) {
      await upload(50 + n, 1, `F${n + 2}`)
      await pass(MINUTE)
    }
    expect(await left()).toBe(30 + 10)
    // Its word that the fallback key was given is taken once.
    expect((await bob.node.engine.users.keys.counts(callerOf(bob))).unusedFallbackTypes).toEqual([ALGORITHM])
    await pass(HOUR)
    expect(await left()).toBeLessThan(30 + 10)
  })

  it('is told again by a node whose store was put back, which knows less than its relays', async () => {
    setAway(bob, false)
    const copy = bob.node.disk.copy()
    const lost = { userId: bob.user, deviceId: 'LOST' }
    await bob.node.engine.users.devices.create(lost, 'lost')
    await bob.node.engine.users.keys.upload(lost, {
      deviceKeys: deviceKeysOf(bob.user, 'LOST', testKey(6)),
      oneTimeKeys: {},
      fallbackKeys: {},
    })
    await pass(MINUTE)
    setAway(bob)
    const shown = async (): Promise<string[]> =>
      Object.keys((await later(query())).device_keys[bob.user] ?? {})
    expect(await shown()).toContain('LOST')
    setAway(bob, false)
    bob = await network.restart(bob, copy)
    await pass(MINUTE)
    setAway(bob)
    expect(await shown()).toEqual([bob.deviceId])
  })

  it('is filled within what a relay keeps for all devices of a name', async () => {
    one.lieOfCounts = (counts) => ({
      ...Object.fromEntries(Object.keys(counts).map((id) => [id, { left: 0, fallbackUsed: false }])),
      OTHER: { left: MAX_SHELF_KEYS_OF_NAME, fallbackUsed: false },
    })
    setAway(bob, false)
    await pass(HOUR + MINUTE)
    const { oneTimeKeys } = await bob.node.engine.users.keys.counts(callerOf(bob))
    expect(oneTimeKeys[ALGORITHM]).toBe(30)
  })

  it('gives no key that the device did not sign, and asks the next relay', async () => {
    one.lieOfShelf = (answer) => ({
      ...answer,
      keys: { [bob.deviceId]: { [`${ALGORITHM}:evil`]: { key: 'evil', signatures: {} } } },
    })
    expect(await later(claim())).toMatch(/:K\d+$/)
    two.lieOfShelf = one.lieOfShelf
    expect(await later(claim())).toBeUndefined()
  })

  it('of a user who was heard of longest ago is forgotten first', async () => {
    const now = network.clock.now()
    const idOf = (n: number): UserId => `@u${n}:${bob.node.name}` as UserId
    // The last in the order of their ids is the oldest.
    const rows = Array.from({ length: MAX_SEEN_SHELVES }, (_, n) =>
      seenShelves.put([idOf(n)], { sequence: 1, expires: now + (n === 9_999 ? 0 : HOUR) }),
    )
    await alice.node.engine.committer.submit({ writes: () => rows })
    await later(query())
    expect(await seenShelves.get(alice.node.store, [idOf(9_999)])).toBeUndefined()
    expect(await seenShelves.get(alice.node.store, [bob.user])).toBeDefined()
    expect(await seenShelves.list(alice.node.store, [])).toHaveLength(MAX_SEEN_SHELVES)
  })

  it('that was seen before its time was noted still counts', async () => {
    const disk = createMemoryDisk()
    const before = await openMemoryStore(disk)
    await before.commit([{ map: 'key-shelf-seen', key: `${bob.user}\u0001`, value: '7' }], 'strict')
    const store = await openMemoryStore(disk, { migrations: MIGRATIONS })
    expect(await seenShelves.get(store, [bob.user])).toEqual({ sequence: 7, expires: 0 })
  })
})
