import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeBase64 } from '../base64.ts'
import type { RoomAlias, RoomId, UserId } from '../ids.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { aliasRecords, MAX_ALIAS_RECORD_MS, type AliasRecord } from './alias-record.ts'
import { MAX_CLOCK_SKEW_MS } from './certificate.ts'
import { separatedBytes } from './domain.ts'
import { deviceRecords, MAX_DEVICE_RECORD_MS, type DeviceRecord } from './device-record.ts'
import { listingRecords, MAX_LISTING_RECORD_MS, type ListingRecord } from './listing-record.ts'
import { nameOfKey } from './names.ts'
import type { RecordHead, RecordKind } from './record.ts'
import { MAX_SHELF_MS, shelfRecords, type ShelfRecord } from './shelf-record.ts'

const seed = new Uint8Array(32).fill(3)
const name = nameOfKey(ed25519.getPublicKey(seed))
const PEER = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
const RELAY = `/dns4/relay.example.org/tcp/443/wss/p2p/${PEER}`
const NOW = 1_800_000_000_000
const head = { name, sequence: 4, expires: NOW + 1000 }
const roomId = '!abc:example.org' as RoomId
const alias = `#home:${name}` as RoomAlias
const device: DeviceRecord = { ...head, peerId: PEER, multiaddrs: [`${RELAY}/p2p-circuit/p2p/${PEER}`] }
const aliased: AliasRecord = { ...head, alias, roomId, vias: [name] }
const listing: ListingRecord = {
  ...head,
  rooms: [{ roomId, joinedMembers: 3, name: 'Home', canonicalAlias: alias }],
}

const user = `@ada:${name}` as UserId
const shelf: ShelfRecord = { ...head, user, list: { devices: [{ device_id: 'A', keys: {} }] } }

type Case = readonly [string, RecordKind<RecordHead>, RecordHead, number, string]
const asCase = <R extends RecordHead>(
  what: string,
  kind: RecordKind<R>,
  record: R,
  maxMs: number,
  key: string,
): Case => [what, kind, record, maxMs, key]
const cases: readonly Case[] = [
  asCase('device', deviceRecords, device, MAX_DEVICE_RECORD_MS, `device/${name}/${PEER}`),
  asCase('alias', aliasRecords, aliased, MAX_ALIAS_RECORD_MS, `alias/${name}/`),
  asCase('listing', listingRecords, listing, MAX_LISTING_RECORD_MS, `rooms/${name}`),
  asCase('shelf', shelfRecords, shelf, MAX_SHELF_MS, `shelf/${user}`),
]
const sign = (kind: RecordKind<RecordHead>, record: RecordHead) => ({
  record,
  signature: encodeBase64(ed25519.sign(kind.bytes(record), seed)),
})
const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => encodeBase64(a) === encodeBase64(b)
const asJson = (value: unknown): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue

describe.each(cases)('%s records', (_what, kind, record, maxMs, key) => {
  it('count while they are valid', () => {
    const signed = sign(kind, record)
    expect(kind.parse(asJson(kind.json(signed)))).toEqual(signed)
    expect(kind.key(record)).toContain(key)
    expect(kind.check(signed, NOW)).toBeUndefined()
    expect(kind.check(signed, record.expires)).toBe('expired')
    const early = record.expires - maxMs - MAX_CLOCK_SKEW_MS
    expect(kind.check(signed, early)).toBeUndefined()
    expect(kind.check(signed, early - 1)).toBe('validity too long')
  })

  it('are signed whole, and as no other kind', () => {
    const { signature } = sign(kind, record)
    const stranger = nameOfKey(ed25519.getPublicKey(new Uint8Array(32).fill(4)))
    for (const change of [{ name: stranger }, { sequence: 5 }, { expires: NOW + 1001 }])
      expect(kind.check({ record: { ...record, ...change }, signature }, NOW)).toBe('bad signature')
    const domains = ['certificate', 'accountRecord', 'deviceRecord', 'aliasRecord', 'listingRecord'] as const
    const others = ([...domains, 'shelfRecord'] as const)
      .map((domain) => separatedBytes(domain, kind.json({ record, signature })['record'] as JsonObject))
      .filter((bytes) => !equalBytes(bytes, kind.bytes(record)))
    expect(others).toHaveLength(5)
    for (const bytes of others) {
      const foreign = { record, signature: encodeBase64(ed25519.sign(bytes, seed)) }
      expect(kind.check(foreign, NOW)).toBe('bad signature')
    }
  })

  it('of which the higher sequence counts', () => {
    expect(kind.isNewer({ ...record, sequence: 5 }, record)).toBe(true)
    expect(kind.isNewer(record, record)).toBe(false)
  })

  it('parse any JSON to nothing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(kind.parse(value as JsonValue)).toBeUndefined()
      }),
    )
  })
})

it.each<[string, { parse(value: JsonValue): unknown }, object, JsonObject]>([
  ['an address of its own', deviceRecords, device, { multiaddrs: [RELAY] }],
  ['an address of another', deviceRecords, device, { multiaddrs: [`${RELAY}/p2p-circuit/p2p/${PEER}a`] }],
  [
    'two relays in a row',
    deviceRecords,
    device,
    { multiaddrs: [`${RELAY}/p2p-circuit${RELAY}/p2p-circuit/p2p/${PEER}`] },
  ],
  [
    'nine addresses',
    deviceRecords,
    device,
    { multiaddrs: Array.from({ length: 9 }, () => device.multiaddrs[0] ?? '') },
  ],
  ['an alias of another server', aliasRecords, aliased, { alias: '#home:example.org' }],
  ['nine vias', aliasRecords, aliased, { vias: Array.from({ length: 9 }, () => name) }],
  ['no room', aliasRecords, aliased, { roomId: 'abc' }],
  [
    'seventeen rooms',
    listingRecords,
    listing,
    { rooms: Array.from({ length: 17 }, () => ({ roomId, joinedMembers: 1 })) },
  ],
  [
    'a long topic',
    listingRecords,
    listing,
    { rooms: [{ roomId, joinedMembers: 1, topic: 'x'.repeat(301) }] },
  ],
  ['members that are no count', listingRecords, listing, { rooms: [{ roomId, joinedMembers: -1 }] }],
])('a record with %s does not parse', (_what, kind, record, change) => {
  expect(kind.parse(asJson({ record: { ...record, ...change }, signature: 's' }))).toBeUndefined()
})
