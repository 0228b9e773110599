import { ed25519 } from '@noble/curves/ed25519.js'
import type { RoomAlias, RoomId, ServerName } from '@plexus/core'
import {
  aliasRecords,
  listingRecords,
  nameOfKey,
  type AliasRecord,
  type ListingRecord,
  type PublishedRecord,
  type SignedRecord,
} from '@plexus/core/names'
import { describe, expect, it } from 'vitest'
import { CarrierError, FederationError, type Clock } from '../ports.ts'
import {
  ANNOUNCE_DELAY_MS,
  ANNOUNCE_INTERVAL_MS,
  createAnnouncements,
  MAX_ANNOUNCED_ALIASES,
} from './announcements.ts'
import { askForAlias } from './ask-for-alias.ts'
import { askForRooms } from './public-rooms.ts'
import type { PublishedRoom } from './types.ts'

const seed = new Uint8Array(32).fill(7)
const name = nameOfKey(ed25519.getPublicKey(seed))
const NOW = 1_800_000_000_000
const roomId = '!r:x.example' as RoomId
const alias = `#home:${name}` as RoomAlias
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function createClock(): Clock & { advance(ms: number): Promise<void> } {
  let now = NOW
  let timers: { at: number; run: () => void }[] = []
  return {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => (timers = timers.filter((other) => other !== timer))
    },
    async advance(ms) {
      now += ms
      const due = timers.filter(({ at }) => at <= now)
      timers = timers.filter(({ at }) => at > now)
      for (const { run } of due) run()
      await settle()
      await settle()
    },
  }
}

const room = (joinedMembers: number, change: Partial<PublishedRoom> = {}): PublishedRoom => ({
  roomId,
  joinedMembers,
  worldReadable: true,
  guestCanJoin: false,
  name: 'Home',
  topic: 't'.repeat(400),
  ...change,
})

function start(rooms: PublishedRoom[], aliases: readonly RoomAlias[] = [alias], own: ServerName = name) {
  const clock = createClock()
  const told: SignedRecord<PublishedRecord>[] = []
  const announcements = createAnnouncements({
    clock,
    log: { log: () => undefined },
    signer: {
      name: own,
      keyId: 'ed25519:0',
      publicKey: ed25519.getPublicKey(seed),
      sign: async (bytes) => ed25519.sign(bytes, seed),
    },
    directory: { publish: async (record) => void told.push(record) },
    published: async () => rooms,
    aliasesOf: async () => aliases,
    viasOf: async () => [own, 'b.example' as ServerName],
  })
  return { clock, told, announcements }
}

describe('announcements', () => {
  it('tell published rooms and their aliases, soundly signed, at the start, after changes and twice a day', async () => {
    const { clock, told, announcements } = start([room(3)])
    await clock.advance(ANNOUNCE_DELAY_MS)
    const [listing, aliased] = told as [SignedRecord<ListingRecord>, SignedRecord<AliasRecord>]
    expect(listingRecords.check(listing, clock.now())).toBeUndefined()
    expect(listing.record.rooms).toEqual([{ roomId, joinedMembers: 3, name: 'Home', topic: 't'.repeat(300) }])
    expect(aliasRecords.check(aliased, clock.now())).toBeUndefined()
    expect(aliased.record).toMatchObject({ alias, roomId, vias: [name, 'b.example'] })
    announcements.changed()
    announcements.changed()
    await clock.advance(ANNOUNCE_DELAY_MS)
    expect(told).toHaveLength(4)
    await clock.advance(ANNOUNCE_INTERVAL_MS)
    expect(told).toHaveLength(6)
    const sequences = told.map(({ record }) => record.sequence)
    expect(new Set(sequences).size).toBe(6)
    expect(sequences).toEqual(sequences.toSorted((a, b) => a - b))
    announcements.close()
    await clock.advance(ANNOUNCE_INTERVAL_MS)
    expect(told).toHaveLength(6)
  })

  it('tell nothing where nothing is published, or the name is no key, and an empty list after another', async () => {
    const rooms: PublishedRoom[] = []
    const { clock, told } = start(rooms, [])
    const other = start([room(1)], [], 'x.example' as ServerName)
    await other.clock.advance(ANNOUNCE_INTERVAL_MS)
    await clock.advance(ANNOUNCE_DELAY_MS)
    expect([told, other.told]).toEqual([[], []])
    rooms.push(room(1))
    await clock.advance(ANNOUNCE_INTERVAL_MS)
    rooms.pop()
    await clock.advance(ANNOUNCE_INTERVAL_MS)
    expect(told.map(({ record }) => (record as ListingRecord).rooms.length)).toEqual([1, 0])
  })

  it('tell so many aliases', async () => {
    const aliases = Array.from({ length: 20 }, (_, n) => `#a${n}:${name}` as RoomAlias)
    const { clock, told } = start([room(3), room(2), room(1)], aliases)
    await clock.advance(ANNOUNCE_DELAY_MS)
    await settle()
    expect(told).toHaveLength(1 + MAX_ANNOUNCED_ALIASES)
  })
})

describe('who asks while the server is away', () => {
  const away = new CarrierError('unreachable', 'away')
  const head = { name, sequence: 1, expires: NOW + 1 }
  const record = { ...head, alias, roomId, vias: ['b.example' as ServerName] }
  const found = { findAlias: async () => ({ record, signature: '' }) }
  const asks = (error: Error) => ({ directory: () => Promise.reject(error) })

  it('gets the room of an alias from its record', async () => {
    expect(await askForAlias({ federation: asks(away), directory: found }, alias, undefined)).toEqual({
      roomId,
      servers: ['b.example'],
    })
  })

  it.each<[string, Error, RoomAlias]>([
    [
      'the server says that there is none',
      new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: '' }),
      alias,
    ],
    ['the server has a DNS name', away, '#home:x.example' as RoomAlias],
  ])('gets the error when %s', async (_what, error, asked) => {
    await expect(askForAlias({ federation: asks(error), directory: found }, asked, undefined)).rejects.toBe(
      error,
    )
  })

  it('gets the published rooms from the listing', async () => {
    const rooms = [{ roomId, joinedMembers: 2, name: 'Home' }]
    const deps = {
      federation: { publicRooms: () => Promise.reject(away) },
      directory: { findListing: async () => ({ record: { ...head, rooms }, signature: '' }) },
    }
    expect(await askForRooms(deps, name, { term: 'home' }, undefined)).toMatchObject({ rooms, total: 1 })
    const none = { ...deps, directory: { findListing: async () => undefined } }
    await expect(askForRooms(none, name, {}, undefined)).rejects.toMatchObject({ errcode: 'M_UNKNOWN' })
  })
})
