import { generateKeyPairSync, sign } from 'node:crypto'
import { encodeBase64 } from '@plexus/core'
import {
  accountKey,
  accountRecords,
  deviceKey,
  deviceRecords,
  nameOfKey,
  type AccountRecord,
} from '@plexus/core/names'
import type { Clock } from '@plexus/engine/ports'
import type { Published } from '@plexus/p2p/wire'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { describe, expect, it } from 'vitest'
import { MAX_RECORDS_PER_NAME } from './limits.ts'
import { createRecords, type RecordOrigin, type Records } from './records.ts'

const HOUR_MS = 3_600_000
const NODE: RecordOrigin = { by: 'node', source: 'a1' }
const DHT: RecordOrigin = { by: 'dht', source: 'b2' }

function createClock(): Clock & { advance(ms: number): void } {
  let now = Date.UTC(2026, 0, 1)
  const timers = new Set<{ at: number; run: () => void }>()
  return {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    advance(ms) {
      now += ms
      for (const timer of timers) if (timer.at <= now && timers.delete(timer)) timer.run()
    },
  }
}

const log = { log: () => undefined }
const PEER = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'

function createAccount(now: number) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const name = nameOfKey(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)))
  const signed = (bytes: Uint8Array): string => encodeBase64(new Uint8Array(sign(null, bytes, privateKey)))
  return {
    name,
    key: accountKey(name),
    record(sequence: number, change: Partial<AccountRecord> = {}): Published {
      const lists = { mailboxes: [], devices: [], sealingKeys: [] }
      const record = { name, sequence, expires: now + HOUR_MS, ...lists, ...change }
      return { key: accountKey(name), signed: { record, signature: signed(accountRecords.bytes(record)) } }
    },
    device(number: number): Published {
      const peerId = `${PEER.slice(0, -2)}${String(number + 11).replaceAll('0', 'z')}`
      const record = { name, sequence: 1, expires: now + HOUR_MS, peerId, multiaddrs: [] }
      return {
        key: deviceKey(name, peerId),
        signed: { record, signature: signed(deviceRecords.bytes(record)) },
      }
    },
  }
}

async function start(bounds?: { own: number; foreign: number }) {
  const clock = createClock()
  const records = await createRecords({ clock, log }, bounds)
  return { clock, records, account: () => createAccount(clock.now()) }
}

const sequenceOf = (records: Records, key: string): number | undefined =>
  records.get(key)?.signed.record.sequence

describe('the records of a relay', () => {
  it('are the newest of each key, whoever brings an older one', async () => {
    const { records, account } = await start()
    const a = account()
    expect(records.put(a.record(2), DHT)).toBe('kept')
    expect(records.put(a.record(2), DHT)).toBe('known')
    expect(records.put(a.record(1), NODE)).toBe('older')
    expect(records.put(a.record(2, { devices: [PEER] }), NODE)).toBe('older')
    expect(sequenceOf(records, a.key)).toBe(2)
    expect(records.put(a.record(1, { tombstone: 'dead' }), DHT)).toBe('kept')
    expect(records.put(a.record(9), NODE)).toBe('older')
  })

  it('are gone when they expire, but for tombstones', async () => {
    const { records, account, clock } = await start()
    const [a, b] = [account(), account()]
    records.put(a.record(1), NODE)
    records.put(b.record(1, { tombstone: 'dead' }), NODE)
    clock.advance(HOUR_MS)
    expect([sequenceOf(records, a.key), sequenceOf(records, b.key), records.size]).toEqual([undefined, 1, 1])
  })

  it('come back when the clock does, also from the disk', async () => {
    const disk = createMemoryDisk()
    const clock = createClock()
    const a = createAccount(clock.now())
    const open = async (): Promise<Records> =>
      createRecords({ clock, log, store: await openMemoryStore(disk) })
    const first = await open()
    first.put(a.record(1), NODE)
    const year = 365 * 24 * HOUR_MS
    clock.advance(year)
    expect([...first.own()]).toEqual([])
    await first[Symbol.asyncDispose]()
    const second = await open()
    expect([...second.own()]).toEqual([])
    clock.advance(-year)
    expect([...second.own()].map(({ key }) => key)).toEqual([a.key])
    expect(second.put(a.record(1), NODE)).toBe('known')
  })

  it('that are over give way to others of their name', async () => {
    const { records, account, clock } = await start()
    const a = account()
    for (let number = 0; number < MAX_RECORDS_PER_NAME; number += 1) records.put(a.device(number), NODE)
    clock.advance(HOUR_MS)
    expect(records.put(a.record(1, { tombstone: 'dead' }), NODE)).toBe('kept')
    expect(records.size).toBe(1)
  })

  it('of others give way to newer ones of others, never those of own nodes', async () => {
    const { records, account } = await start({ own: 2, foreign: 3 })
    const own = account()
    records.put(own.record(1), DHT)
    records.put(own.record(1), NODE)
    const others = Array.from({ length: 5 }, account)
    for (const other of others) records.put(other.record(1), DHT)
    // Told again, it is the newest of them.
    expect(others.map(({ key }) => sequenceOf(records, key))).toEqual([undefined, undefined, 1, 1, 1])
    expect(sequenceOf(records, own.key)).toBe(1)
    // One that once was a node here stays so, though the DHT brings its next record.
    records.put(own.record(2), DHT)
    expect([...records.own()].map(({ key }) => key)).toEqual([own.key])
  })

  it('of who brings many give way to those of others, as long as these are fewer', async () => {
    const clock = createClock()
    const account = (): ReturnType<typeof createAccount> => createAccount(clock.now())
    const flood = (records: Records, origin: RecordOrigin): void => {
      for (let n = 0; n < 10; n += 1) records.put(account().record(1), origin)
    }
    let sleepers = [account(), account()]
    const left = (records: Records): unknown[] => sleepers.map(({ key }) => sequenceOf(records, key))
    for (const by of ['dht', 'node', 'mailbox'] as const) {
      const disk = createMemoryDisk()
      const open = async (): Promise<Records> =>
        createRecords({ clock, log, store: await openMemoryStore(disk) }, { own: 4, foreign: 4 })
      const records = await open()
      for (const sleeper of sleepers) records.put(sleeper.record(1), { by, source: '01' })
      flood(records, { by, source: '02' })
      expect([left(records), records.size]).toEqual([[1, 1], 4])
      await records[Symbol.asyncDispose]()
      // Who brought them is known after a restart, too.
      const again = await open()
      flood(again, { by, source: '02' })
      expect([left(again), again.size]).toEqual([[1, 1], 4])
      // With another one everybody has a third of the room.
      flood(again, { by, source: '03' })
      expect(left(again).filter((sequence) => sequence === 1)).toHaveLength(1)
      await again[Symbol.asyncDispose]()
      sleepers = [account(), account()]
    }
  })

  it("of names with a mailbox stay, whatever other nodes bring, and are this relay's own", async () => {
    const { records, account } = await start({ own: 2, foreign: 2 })
    const sleeper = account()
    records.put(sleeper.record(1), NODE)
    expect(records.put(sleeper.record(1), { by: 'mailbox', source: 'a1' })).toBe('kept')
    for (let n = 0; n < 5; n += 1) records.put(account().record(1), { by: 'node', source: `c${n}` })
    for (let n = 0; n < 5; n += 1) records.put(account().record(1), { by: 'dht', source: `c${n}` })
    // Its next record stays there, whoever brings it.
    expect(records.put(sleeper.record(2), DHT)).toBe('kept')
    expect([...records.own()].map(({ key }) => key)).toContain(sleeper.key)
    expect(records.size).toBe(5)
    const stranger = account()
    records.put(stranger.record(1), DHT)
    expect([sleeper, stranger].map(({ name }) => records.isOwn(name))).toEqual([true, false])
  })

  it('are so many of one name', async () => {
    const { records, account } = await start()
    const a = account()
    for (let number = 0; number < MAX_RECORDS_PER_NAME; number += 1)
      expect(records.put(a.device(number), NODE)).toBe('kept')
    expect(records.put(a.record(1), NODE)).toBe('full')
    expect(records.put(account().record(1), NODE)).toBe('kept')
  })

  it('outlive a restart', async () => {
    const disk = createMemoryDisk()
    const clock = createClock()
    const [a, b] = [createAccount(clock.now()), createAccount(clock.now())]
    const first = await createRecords({ clock, log, store: await openMemoryStore(disk) })
    first.put(a.record(1), NODE)
    first.put(b.record(1), DHT)
    clock.advance(1_000)
    first.put(a.record(2), DHT)
    await first[Symbol.asyncDispose]()
    const second = await createRecords({ clock, log, store: await openMemoryStore(disk) })
    expect([sequenceOf(second, a.key), sequenceOf(second, b.key)]).toEqual([2, 1])
    expect([...second.own()].map(({ key }) => key)).toEqual([a.key])
    await second[Symbol.asyncDispose]()
    clock.advance(HOUR_MS)
    expect((await createRecords({ clock, log, store: await openMemoryStore(disk) })).size).toBe(0)
  })
})
