import type { RoomAlias, RoomId } from '@plexus/core'
import { aliasRecords, deviceKey, deviceRecords, listingRecords } from '@plexus/core/names'
import { CarrierError } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import {
  createDiscovery,
  ELSEWHERE_AFTER_MS,
  MAX_OWN_RECORDS,
  MAX_SEARCHES,
  MAX_SEEN_RECORDS,
  type Discovery,
} from './discovery.ts'
import type { KadAnswer } from './kad.ts'
import { createPeerBook } from './peer-book.ts'
import { silentLog } from './testing/accounts.ts'
import { createTestPublisher, type TestPublisher } from './testing/records.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'
import type { Published } from './wire/published.ts'

const NOW = Date.UTC(2026, 0, 1)
const RELAY = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
const DEVICE = '12D3KooWAd1otKgz5qQcqu7youoBhMsZUzFLw6Z26pvaYmM2LFcM'
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A discovery whose relay and DHT answer what the test says. */
async function start() {
  const clock = createVirtualClock(NOW)
  const memory = { load: () => Promise.resolve([]), save: () => Promise.resolve() }
  const book = await createPeerBook({ clock, log: silentLog, memory, wanted: () => false })
  const state = {
    atRelay: [] as Published[],
    inDht: [] as KadAnswer[],
    /** Further answers, each so many milliseconds after the one before. */
    later: [] as (readonly [number, KadAnswer])[],
    asked: 0,
    elsewhere: [] as Published[],
    askedElsewhere: 0,
    takes: true,
    searches: 0,
    ends: true,
  }
  const told: Published[] = []
  const relay = {
    records: (keys: readonly string[]) => {
      state.searches += 1
      return Promise.resolve(state.atRelay.filter(({ key }) => keys.includes(key)))
    },
    publish(published: Published) {
      told.push(published)
      return state.takes ? Promise.resolve() : Promise.reject(new CarrierError('refused', 'no'))
    },
  }
  const discovery = createDiscovery({
    clock,
    log: silentLog,
    book,
    relays: () => [relay],
    kad: () =>
      Promise.resolve({
        async askElsewhere(key: string, found: (published: Published) => void) {
          state.askedElsewhere += 1
          for (const published of state.elsewhere) if (published.key === key) found(published)
        },
        async *get(key: string, signal: AbortSignal) {
          for (const answer of state.inDht) if (answer.published.key === key) yield answer
          for (const [afterMs, answer] of state.later) {
            await new Promise<void>((resolve) => clock.after(afterMs, resolve))
            if (signal.aborted) return
            state.asked += 1
            yield answer
          }
          if (state.ends) return
          await new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true })
          })
        },
      }),
  })
  return { clock, discovery, state, relay, told }
}

const of = (owner: TestPublisher, sequence: number): Published => ({
  key: owner.key,
  signed: owner.record(sequence),
})
const answer = (owner: TestPublisher, sequence: number, path = 0): KadAnswer => ({
  published: of(owner, sequence),
  path,
})
const deviceAt = (owner: TestPublisher, sequence: number, multiaddrs: readonly string[]): Published =>
  owner.publish(deviceRecords, { sequence, peerId: DEVICE, multiaddrs })
async function addressesOf(discovery: Discovery, { name }: TestPublisher): Promise<(readonly string[])[]> {
  const all: (readonly string[])[] = []
  for await (const addresses of discovery.addresses(name)) all.push(addresses)
  return all
}
const sequenceFor = async (discovery: Discovery, owner: TestPublisher): Promise<number | undefined> =>
  (await discovery.find(owner.key))?.signed.record.sequence

describe('discovery', () => {
  it('answers with the newest of what relay and DHT say, and never with an older one again', async () => {
    const { discovery, state } = await start()
    const owner = createTestPublisher(NOW)
    state.atRelay = [of(owner, 1)]
    state.inDht = [answer(owner, 3), answer(owner, 2)]
    expect(await sequenceFor(discovery, owner)).toBe(3)
    state.inDht = []
    expect(await sequenceFor(discovery, owner)).toBe(3)
    expect(await sequenceFor(discovery, createTestPublisher(NOW))).toBeUndefined()
  })

  it.each<[string, (owner: TestPublisher, sequence: number) => Published]>([
    ['an account', of],
    ['a device', (owner, sequence) => deviceAt(owner, sequence, [])],
    [
      'an alias',
      (owner, sequence) =>
        owner.publish(aliasRecords, {
          sequence,
          alias: `#home:${owner.name}` as RoomAlias,
          roomId: '!room:example.org' as RoomId,
          vias: [],
        }),
    ],
    ['public rooms', (owner, sequence) => owner.publish(listingRecords, { sequence, rooms: [] })],
  ])('takes no older record of %s than it saw', async (_what, record) => {
    const { discovery, state } = await start()
    const owner = createTestPublisher(NOW)
    const { key } = record(owner, 2)
    const found = async (): Promise<number | undefined> => (await discovery.find(key))?.signed.record.sequence
    state.atRelay = [record(owner, 2)]
    expect(await found()).toBe(2)
    state.atRelay = [record(owner, 1)]
    expect(await found()).toBe(2)
    state.atRelay = [record(owner, 3)]
    expect(await found()).toBe(3)
  })

  it('asks servers anywhere in the DHT where nobody else has a record, or says anything', async () => {
    const { discovery, state, clock } = await start()
    const [owner, other] = [createTestPublisher(NOW), createTestPublisher(NOW)]
    state.elsewhere = [of(owner, 1), of(other, 1)]
    expect(await sequenceFor(discovery, owner)).toBe(1)
    state.ends = false
    const found = sequenceFor(discovery, other)
    await settle()
    clock.advance(ELSEWHERE_AFTER_MS - 1)
    await settle()
    expect(state.askedElsewhere).toBe(1)
    clock.advance(1)
    await settle()
    expect(state.askedElsewhere).toBe(2)
    clock.advance(1_500)
    expect(await found).toBe(1)
    // Not where somebody has one, nor for that of a device, which few have and dials wait for.
    state.ends = true
    state.atRelay = [of(owner, 2)]
    expect(await sequenceFor(discovery, owner)).toBe(2)
    expect(await discovery.find(deviceKey(owner.name, DEVICE))).toBeUndefined()
    expect(state.askedElsewhere).toBe(2)
  })

  it('waits a moment for more answers after the first, and gives up on none', async () => {
    const { discovery, state, clock } = await start()
    const owner = createTestPublisher(NOW)
    state.ends = false
    let found: number | undefined | 'none' = 'none'
    void sequenceFor(discovery, owner).then((sequence) => (found = sequence))
    await settle()
    clock.advance(7_999)
    await settle()
    expect(found).toBe('none')
    clock.advance(1)
    await settle()
    expect(found).toBeUndefined()
    state.inDht = [answer(owner, 1)]
    void sequenceFor(discovery, owner).then((sequence) => (found = sequence))
    await settle()
    clock.advance(1_500)
    await settle()
    expect(found).toBe(1)
  })

  it('is not ended by servers that tell an old record, however many and on whatever paths', async () => {
    const { discovery, state, clock } = await start()
    const owner = createTestPublisher(NOW)
    const steps = async (count: number): Promise<void> => {
      for (let step = 0; step < count; step += 1) {
        clock.advance(100)
        await settle()
      }
    }
    state.ends = false
    state.atRelay = [of(owner, 1)]
    // One path is theirs altogether, and each of the others begins with one of them.
    state.inDht = [0, 0, 0, 0, 0, 0, 1, 2].map((path) => answer(owner, 2, path))
    state.later = [[1_400, answer(owner, 3, 1)]]
    let found: number | undefined
    void sequenceFor(discovery, owner).then((sequence) => (found = sequence))
    await settle()
    await steps(28)
    expect(found).toBeUndefined()
    await steps(1)
    expect(found).toBe(3)
  })

  it('ends when paths that share no server tell the newest, each more than once', async () => {
    const { discovery, state } = await start()
    const owner = createTestPublisher(NOW)
    state.ends = false
    state.inDht = [0, 1, 2, 0, 1, 2].map((path) => answer(owner, 7, path))
    expect(await sequenceFor(discovery, owner)).toBe(7)
  })

  it('takes no longer than a bounded time, whatever keeps coming', async () => {
    const { discovery, state, clock } = await start()
    const owner = createTestPublisher(NOW)
    state.later = Array.from({ length: 100 }, (_, n) => [100, answer(owner, n + 1)] as const)
    let found: number | undefined
    void sequenceFor(discovery, owner).then((sequence) => (found = sequence))
    for (let step = 0; step < 100; step += 1) {
      await settle()
      clock.advance(100)
    }
    await settle()
    expect([found, state.asked]).toEqual([80, 80])
  })

  it('does not answer with a record that is over, and remembers it against older ones', async () => {
    const { discovery, state, clock } = await start()
    const owner = createTestPublisher(NOW)
    state.atRelay = [of(owner, 5)]
    expect(await sequenceFor(discovery, owner)).toBe(5)
    clock.advance(3_600_000)
    state.atRelay = [{ key: owner.key, signed: owner.record(4, { expires: NOW + 9_000_000 }) }]
    expect(await sequenceFor(discovery, owner)).toBeUndefined()
  })

  it('tells the dialer the ways through mailbox relays, and searches once for many dials', async () => {
    const { discovery, state, clock } = await start()
    const owner = createTestPublisher(NOW)
    const address = `/dns4/relay.example.org/tcp/443/wss/p2p/${RELAY}`
    const mailboxes = [{ peerId: RELAY, multiaddrs: [address, '/dns4/other.example.org/tcp/1'] }]
    const record = owner.record(1, { mailboxes, devices: [DEVICE] })
    state.atRelay = [{ key: owner.key, signed: record }]
    const way = [`${address}/p2p-circuit/p2p/${DEVICE}`]
    expect(await addressesOf(discovery, owner)).toEqual([way, []])
    expect(await addressesOf(discovery, owner)).toEqual([way, []])
    // One for the account, and one for its device.
    expect(state.searches).toBe(2)
    clock.advance(600_000)
    state.atRelay = [{ key: owner.key, signed: owner.record(1, { tombstone: 'dead' }) }]
    expect(await addressesOf(discovery, owner)).toEqual([])
  })

  it('tells the dialer then where the devices of the account say that they are', async () => {
    const { discovery, state } = await start()
    const owner = createTestPublisher(NOW)
    const at = `/dns4/other.example.org/tcp/443/wss/p2p/${RELAY}/p2p-circuit/p2p/${DEVICE}`
    const account = { key: owner.key, signed: owner.record(1, { devices: [DEVICE] }) }
    state.atRelay = [account, deviceAt(owner, 4, [at])]
    expect(await addressesOf(discovery, owner)).toEqual([[], [at]])
    // A device that the account does not list is not asked about, and an older record of one is not believed.
    state.atRelay = [account, deviceAt(owner, 3, [])]
    expect(await discovery.find(deviceKey(owner.name, DEVICE))).toMatchObject({
      signed: { record: { sequence: 4 } },
    })
  })

  it('does not wait long for the record of a device that sleeps', async () => {
    const { discovery, state, clock } = await start()
    state.ends = false
    let found: unknown = 'none'
    void discovery.find(deviceKey(createTestPublisher(NOW).name, DEVICE)).then((record) => (found = record))
    await settle()
    clock.advance(3_000)
    await settle()
    expect(found).toBeUndefined()
  })

  it('has so many searches under way at once', async () => {
    const { discovery, state, clock } = await start()
    state.ends = false
    const owners = Array.from({ length: MAX_SEARCHES + 5 }, () => createTestPublisher(NOW))
    const finds = owners.map(({ key }) => discovery.find(key))
    await settle()
    expect(state.searches).toBe(MAX_SEARCHES)
    clock.advance(8_000)
    expect(await Promise.all(finds)).toEqual(owners.map(() => undefined))
  })

  it('remembers the newest of so many keys beside those of accounts', async () => {
    const { discovery, state } = await start()
    const owner = createTestPublisher(NOW)
    // What is over is remembered against older ones, and no signature is checked for it.
    const over = Array.from({ length: MAX_SEEN_RECORDS + 1 }, (_, n) => owner.device(n, 2, NOW - 1))
    for (const published of over) {
      state.atRelay = [published]
      expect(await discovery.find(published.key)).toBeUndefined()
    }
    const older = [0, 1].map((n) => owner.device(n, 1, NOW + 1_000))
    state.atRelay = older
    expect(await discovery.find(older[1]?.key ?? '')).toBeUndefined()
    expect(await discovery.find(older[0]?.key ?? '')).toEqual(older[0])
  })

  it('tells every relay what was published, also one that comes later', async () => {
    const { discovery, state, relay, told } = await start()
    const owner = createTestPublisher(NOW)
    await discovery.publish(of(owner, 1))
    state.takes = false
    await expect(discovery.publish(of(owner, 2))).rejects.toMatchObject({ code: 'unreachable' })
    discovery.connected(relay)
    expect(told.map(({ signed }) => signed.record.sequence)).toEqual([1, 2, 2])
    state.takes = true
    for (let n = 1; n < MAX_OWN_RECORDS; n += 1) await discovery.publish(of(createTestPublisher(NOW), 1))
    await expect(discovery.publish(of(createTestPublisher(NOW), 1))).rejects.toMatchObject({
      code: 'refused',
    })
  })
})
