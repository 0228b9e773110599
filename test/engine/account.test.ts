/** Which of the devices that have the key of an account speaks for it, by what is said to be its newest record. */
import { encodeBase64 } from '@plexus/core'
import { accountRecords, type AccountRecord, type SignedAccountRecord } from '@plexus/core/names'
import { createCommitter, loadAccount, loadSealingKeys, RECORD_RENEWAL_MS } from '@plexus/engine/testing'
import type { Account } from '@plexus/engine/testing'
import { createMemoryDisk, openMemoryStore, type MemoryDisk } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import { createQuickSealer } from '../kit/mail-relay.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'

const START = 1_700_000_000_000
const peer = (letter: string): string => `12D3KooW${letter.repeat(44)}`
const [HERE, THERE] = [peer('a'), peer('b')]

let now: number
let disk: MemoryDisk
let replaced: number
let account: Account

beforeEach(async () => {
  now = START
  disk = createMemoryDisk()
  replaced = 0
  account = await start()
  await account.renew([])
  await account.held()
})

/** The account as a process on this disk has it. */
async function start(at: MemoryDisk = disk, peerId = HERE): Promise<Account> {
  at.kill()
  const store = await openMemoryStore(at)
  const committer = await createCommitter(store)
  const clock = { now: () => now, after: () => () => undefined }
  const ports = { store, committer, clock, random: createSeededRandom(1), sealer: createQuickSealer(1) }
  const keys = await loadSealingKeys(ports)
  const loaded = await loadAccount({
    ...ports,
    signer: testSigner(1),
    keys,
    replaced: () => (replaced += 1),
  })
  loaded.device(peerId)
  return loaded
}

/** By the key of the account, unless `seed` makes another. */
async function signed(change: Partial<AccountRecord>, seed = 1): Promise<SignedAccountRecord> {
  const fields = { mailboxes: [], devices: [THERE], sealingKeys: [] }
  const head = { name: testSigner(1).name, sequence: now, expires: now + 1_000_000 }
  const record: AccountRecord = { ...head, ...fields, ...change }
  const signature = encodeBase64(await testSigner(seed).sign(accountRecords.bytes(record)))
  return { record, signature }
}
const renewed = async (of: Account = account): Promise<AccountRecord | undefined> => {
  now += RECORD_RENEWAL_MS
  await of.renew([])
  return of.record?.record
}

describe('the device that speaks for an account', () => {
  it('gives way for good to one of a later takeover, whatever its sequence', async () => {
    const { signature } = account.record ?? {}
    await account.meet(await signed({ since: START + 1, sequence: 1 }))
    expect([account.isReplaced, replaced]).toEqual([true, 1])
    await renewed()
    await account.end()
    expect(account.record?.signature).toBe(signature)
    const again = await start()
    expect(again.isReplaced).toBe(true)
    await renewed(again)
    expect(again.record?.signature).toBe(signature)
  })

  it.each<[string, Partial<AccountRecord>, number]>([
    ['of before its own takeover, whatever its sequence', { since: START - 1, sequence: 2 ** 50 }, 1],
    ['of the time before takeovers were told', { sequence: 2 ** 50 }, 1],
    ['of its own takeover and an earlier sequence', { since: START, sequence: START - 1 }, 1],
    ['that another key signed', { since: START + 1 }, 2],
    ['of another account', { since: START + 1, name: testSigner(2).name }, 2],
  ])('is not moved by a record %s', async (_what, change, seed) => {
    await account.meet(await signed(change, seed))
    expect([account.isReplaced, replaced]).toEqual([false, 0])
    expect(await renewed()).toMatchObject({ devices: [HERE], since: START })
  })

  it.each([
    ['is over by now', START - 1],
    ['is good for longer than any by this clock', START + 2 ** 40],
  ])('gives way also to one that %s', async (_what, expires) => {
    await account.meet(await signed({ since: START + 1, expires }))
    expect(account.isReplaced).toBe(true)
  })

  it('goes on from a later record of its own that it lost, as after a restored backup', async () => {
    const before = disk.copy()
    now += 5
    const own = await signed({ devices: [HERE], since: START + 3, sequence: START + 9 })
    const restored = await start(before)
    await restored.meet(own)
    expect(restored.isReplaced).toBe(false)
    await restored.renew([])
    expect(restored.record?.record).toMatchObject({ devices: [HERE], since: START + 3, sequence: START + 10 })
  })

  it('is the same with another transport key', async () => {
    const before = account.record as SignedAccountRecord
    const other = await start(disk, THERE)
    await other.meet(before)
    expect(await renewed(other)).toMatchObject({ devices: [THERE], since: START })
  })

  it('is the one of a later tombstone no more', async () => {
    await account.meet(await signed({ tombstone: 'dead', sequence: 1 }))
    expect(account.isReplaced).toBe(false)
    expect(account.record?.record.tombstone).toBe('dead')
  })
})

describe('a device that takes an account over', () => {
  it('outranks one whose clock is ahead, until a relay keeps its record', async () => {
    const ahead = await signed({ since: START + 500, sequence: START + 500 })
    let fresh = await start(createMemoryDisk())
    await fresh.renew([])
    await fresh.meet(ahead)
    expect(fresh.isReplaced).toBe(false)
    await fresh.renew([])
    expect(fresh.record?.record).toMatchObject({ since: START + 501, sequence: START + 501 })
    const later = await signed({ since: START + 900 })
    await fresh.held()
    await fresh.meet(later)
    expect(fresh.isReplaced).toBe(true)

    fresh = await start(createMemoryDisk())
    await fresh.meet(ahead)
    await fresh.renew([])
    expect(fresh.record?.record.since).toBe(START + 501)
  })

  it('takes it back when it is told to, and is then the one that does not give way', async () => {
    await account.meet(await signed({ since: START + 500, sequence: START + 700 }))
    const { fingerprint } = account
    await account.takeBack()
    const again = await start()
    expect(again.isReplaced).toBe(false)
    expect(again.record?.record).toMatchObject({
      devices: [HERE],
      since: START + 501,
      sequence: START + 701,
    })
    // Those who were told of it before are told again.
    expect(again.fingerprint).not.toBe(fingerprint)
    await again.meet(await signed({ since: START + 600 }))
    expect(again.isReplaced).toBe(false)
  })

  it('changes nothing where nobody took it over', async () => {
    const { record } = account
    await account.takeBack()
    expect(account.record).toBe(record)
  })
})
