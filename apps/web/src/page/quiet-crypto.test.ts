import { describe, expect, it } from 'vitest'
import { skipEmptyChanges, type CryptoChanges, type SyncCrypto } from './quiet-crypto.ts'

const QUIET: CryptoChanges = {
  toDeviceEvents: [],
  oneTimeKeysCounts: { signed_curve25519: 50, other: 1 },
  unusedFallbackKeys: ['signed_curve25519'],
}

function start(): { crypto: SyncCrypto; taken: CryptoChanges[]; fail: { next: boolean } } {
  const taken: CryptoChanges[] = []
  const fail = { next: false }
  const crypto: SyncCrypto = {
    async processSyncChanges(changes) {
      if (fail.next) {
        fail.next = false
        throw new Error('the store is gone')
      }
      taken.push(changes)
      return [...changes.toDeviceEvents]
    },
  }
  skipEmptyChanges(crypto)
  return { crypto, taken, fail }
}

describe('the crypto of matrix-js-sdk', () => {
  it('is spared answers that say nothing new', async () => {
    const { crypto, taken } = start()
    await crypto.processSyncChanges(QUIET)
    expect(await crypto.processSyncChanges({ ...QUIET, deviceLists: { changed: [], left: [] } })).toEqual([])
    const reordered = { other: 1, signed_curve25519: 50 }
    expect(await crypto.processSyncChanges({ ...QUIET, oneTimeKeysCounts: reordered })).toEqual([])
    expect(taken).toEqual([QUIET])
  })

  it.each<[string, Partial<CryptoChanges>]>([
    ['messages to the device', { toDeviceEvents: [{ type: 'm.room_key' }] }],
    ['changed devices', { deviceLists: { changed: ['@a:b'] } }],
    ['people who left', { deviceLists: { left: ['@a:b'] } }],
    ['claimed keys', { oneTimeKeysCounts: { signed_curve25519: 49, other: 1 } }],
    ['no keys at all', { oneTimeKeysCounts: {} }],
    ['a spent fallback key', { unusedFallbackKeys: [] }],
  ])('gets %s', async (_, changes) => {
    const { crypto, taken } = start()
    await crypto.processSyncChanges(QUIET)
    const told = { ...QUIET, ...changes }
    expect(await crypto.processSyncChanges(told)).toEqual(told.toDeviceEvents)
    expect(taken).toEqual([QUIET, told])
  })

  it('gets a spent fallback key each time, and the first answer whatever it says', async () => {
    const { crypto, taken } = start()
    const spent = { ...QUIET, unusedFallbackKeys: [] }
    await crypto.processSyncChanges(spent)
    await crypto.processSyncChanges(spent)
    expect(taken).toEqual([spent, spent])
  })

  it('gets again what it failed to take', async () => {
    const { crypto, taken, fail } = start()
    await crypto.processSyncChanges(QUIET)
    fail.next = true
    const counted = { ...QUIET, oneTimeKeysCounts: {} }
    await expect(crypto.processSyncChanges(counted)).rejects.toThrow('the store is gone')
    await crypto.processSyncChanges(counted)
    await crypto.processSyncChanges(QUIET)
    expect(taken).toEqual([QUIET, counted, QUIET])
  })
})
