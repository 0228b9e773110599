import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { clock } from '../shared/platform.ts'
import { quieten, type CryptoChanges, type SdkCrypto } from './quiet-crypto.ts'

const QUIET: CryptoChanges = {
  toDeviceEvents: [],
  oneTimeKeysCounts: { signed_curve25519: 50, other: 1 },
  unusedFallbackKeys: ['signed_curve25519'],
}

type Person = { toString(): string; free(): void }

type Started = {
  readonly crypto: SdkCrypto
  readonly taken: CryptoChanges[]
  readonly fail: { next: boolean }
  /** For whom sessions were looked for. */
  readonly searched: string[]
  /** What the next searches find. */
  readonly missing: unknown[]
  readonly freed: string[]
  readonly counts: { requests: number }
}

function start(): Started {
  const taken: CryptoChanges[] = []
  const fail = { next: false }
  const [searched, freed]: [string[], string[]] = [[], []]
  const missing: unknown[] = []
  const counts = { requests: 0 }
  const crypto: SdkCrypto = {
    async processSyncChanges(changes) {
      if (fail.next) {
        fail.next = false
        throw new Error('the store is gone')
      }
      taken.push(changes)
      return [...changes.toDeviceEvents]
    },
    olmMachine: {
      async getMissingSessions(people) {
        searched.push(people.map(String).join(' '))
        return missing.shift()
      },
      markRequestAsSent: async () => true,
    },
    outgoingRequestsManager: {
      async doProcessOutgoingRequests() {
        counts.requests += 1
      },
    },
  }
  quieten(crypto, clock)
  return { crypto, taken, fail, searched, missing, freed, counts }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

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

describe('the sessions of the crypto', () => {
  const people = ({ freed }: Started, ...names: readonly string[]): Person[] =>
    names.map((name) => ({ toString: () => name, free: () => freed.push(name) }))
  const look = async (started: Started, ...names: readonly string[]): Promise<unknown> =>
    started.crypto.olmMachine.getMissingSessions(people(started, ...names))

  it('are looked for once, and nobody is left in its memory', async () => {
    const started = start()
    await look(started, 'a', 'b')
    expect(await look(started, 'b', 'a')).toBe(undefined)
    expect(started.searched).toEqual(['a b'])
    expect(started.freed).toEqual(['b', 'a'])
  })

  it('are looked for again for others, after a while, and while some are missing', async () => {
    const started = start()
    await look(started, 'a')
    started.missing.push('a claim')
    expect(await look(started, 'a', 'b')).toBe('a claim')
    await look(started, 'a', 'b')
    await vi.advanceTimersByTimeAsync(10_000)
    await look(started, 'a', 'b')
    expect(started.searched).toEqual(['a', 'a b', 'a b', 'a b'])
  })

  it('are looked for again once it heard something, even while it looked', async () => {
    const started = start()
    const { crypto, searched } = started
    await look(started, 'a')
    await crypto.processSyncChanges(QUIET)
    await look(started, 'a')
    await crypto.olmMachine.markRequestAsSent('id', 1, '{}')
    const looking = look(started, 'a')
    await crypto.olmMachine.markRequestAsSent('id', 1, '{}')
    await looking
    await look(started, 'a')
    await look(started, 'a')
    expect(searched).toEqual(['a', 'a', 'a', 'a'])
  })
})

describe('the requests of the crypto', () => {
  it('are made at once after it heard something, and later otherwise, once for many', async () => {
    const { crypto, counts } = start()
    const make = async (): Promise<void> => crypto.outgoingRequestsManager.doProcessOutgoingRequests()
    await make()
    expect(counts.requests).toBe(1)
    const both = Promise.all([make(), make()])
    expect(counts.requests).toBe(1)
    await vi.advanceTimersByTimeAsync(250)
    await both
    expect(counts.requests).toBe(2)
    await crypto.olmMachine.markRequestAsSent('id', 1, '{}')
    await make()
    expect(counts.requests).toBe(3)
  })
})
