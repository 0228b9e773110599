import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeBase64 } from '../base64.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { accountRecords, MAX_ACCOUNT_RECORD_MS, type AccountRecord } from './account-record.ts'
import { MAX_CLOCK_SKEW_MS } from './certificate.ts'
import { nameOfKey } from './names.ts'

const seed = new Uint8Array(32).fill(3)
const name = nameOfKey(ed25519.getPublicKey(seed))
const PEER = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
const NOW = 1_800_000_000_000
const record: AccountRecord = {
  name,
  sequence: 4,
  expires: NOW + 1000,
  mailboxes: [{ peerId: PEER, multiaddrs: [`/dns4/relay.example.org/tcp/443/wss/p2p/${PEER}`] }],
  devices: [PEER],
  sealingKeys: [{ id: 'a1', publicKey: 'A'.repeat(43), expires: NOW + 500 }],
}
const signed = (of: AccountRecord) => ({
  record: of,
  signature: encodeBase64(ed25519.sign(accountRecords.bytes(of), seed)),
})

describe('account records', () => {
  it('count while they are valid', () => {
    const value = signed(record)
    expect(accountRecords.parse(JSON.parse(JSON.stringify(value)) as JsonValue)).toEqual(value)
    expect(accountRecords.check(value, NOW)).toBeUndefined()
    expect(accountRecords.check(value, record.expires)).toBe('expired')
    const early = record.expires - MAX_ACCOUNT_RECORD_MS - MAX_CLOCK_SKEW_MS
    expect(accountRecords.check(value, early)).toBeUndefined()
    expect(accountRecords.check(value, early - 1)).toBe('validity too long')
  })

  it.each<[string, Partial<AccountRecord>]>([
    ['name', { name: nameOfKey(ed25519.getPublicKey(new Uint8Array(32).fill(4))) }],
    ['sequence', { sequence: 5 }],
    ['expiry', { expires: NOW + 1001 }],
    ['mailboxes', { mailboxes: [{ peerId: PEER, multiaddrs: [] }] }],
    ['devices', { devices: [] }],
    ['takeover', { since: 1 }],
    ['sealing keys', { sealingKeys: [] }],
    ['tombstone', { tombstone: 'dead' }],
  ])('are signed with their %s', (_what, change) => {
    const { signature } = signed(record)
    expect(accountRecords.check({ record: { ...record, ...change }, signature }, NOW)).toBe('bad signature')
  })

  it('of which a tombstone outranks any sequence, and speaks for ever', () => {
    const dead = { ...record, sequence: 1, tombstone: 'dead' as const }
    expect(accountRecords.isNewer(dead, record)).toBe(true)
    expect(accountRecords.isNewer(record, dead)).toBe(false)
    expect(accountRecords.isNewer({ ...record, sequence: 5 }, record)).toBe(true)
    expect(accountRecords.isNewer(record, record)).toBe(false)
    expect(accountRecords.check(signed(dead), record.expires + 1)).toBeUndefined()
  })

  it('of which one of a later takeover outranks any sequence, and no tombstone', () => {
    const taken = { ...record, sequence: 1, since: 7 }
    const value = signed(taken)
    expect(accountRecords.parse(JSON.parse(JSON.stringify(value)) as JsonValue)).toEqual(value)
    expect(accountRecords.check(value, NOW)).toBeUndefined()
    expect(accountRecords.isNewer(taken, record)).toBe(true)
    expect(accountRecords.isNewer(record, taken)).toBe(false)
    expect(accountRecords.isNewer({ ...taken, sequence: 2 }, taken)).toBe(true)
    expect(accountRecords.isNewer({ ...record, since: 6 }, taken)).toBe(false)
    expect(accountRecords.isNewer(taken, { ...record, tombstone: 'dead' })).toBe(false)
  })

  it.each<[string, JsonObject]>([
    ['no name', { name: undefined }],
    ['a sequence that is no count', { sequence: -1 }],
    ['five mailboxes', { mailboxes: Array.from({ length: 5 }, () => ({ peerId: PEER, multiaddrs: [] })) }],
    ['a mailbox without a peer', { mailboxes: [{ multiaddrs: [] }] }],
    ['nine devices', { devices: Array.from({ length: 9 }, () => PEER) }],
    ['a short sealing key', { sealingKeys: [{ id: 'a', publicKey: 'AAAA', expires: 1 }] }],
    ['a takeover at no time', { since: -1 }],
    ['a tombstone that says nothing', { tombstone: {} }],
  ])('with %s do not parse', (_what, change) => {
    const value = JSON.parse(
      JSON.stringify({ record: { ...record, ...change }, signature: 's' }),
    ) as JsonValue
    expect(accountRecords.parse(value)).toBeUndefined()
  })

  it('parse any JSON to nothing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(accountRecords.parse(value as JsonValue)).toBeUndefined()
      }),
    )
  })
})
