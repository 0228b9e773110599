import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { JsonObject, UserId } from '@plexus/core'
import type { SignedShelf } from '@plexus/core/names'
import type { KeptMail, SealedMail, ShelfKeys } from '@plexus/engine/ports'
import { MAX_SHELF_KEYS } from '@plexus/p2p/wire'
import type { MailStore } from '../mail/mail-store.ts'
import { createRecipient, deviceAt, listOf, sha256, type Recipient } from '../testing/recipients.ts'

/** One place for mail. Each `open` opens that same place, once the store opened before is disposed of. */
export interface MailStoreFixture {
  open(): Promise<MailStore>
  remove(): Promise<void>
}

const NOW = Date.UTC(2026, 0, 1)
const DAY_MS = 24 * 3_600_000
const ROOMY = { mails: 1_000, bytes: 1_000_000 }
const MANY = 100

const textOf = ({ mail }: KeptMail): string => new TextDecoder().decode(mail.bytes)

type World = {
  store: MailStore
  owner: Recipient
  put: (mail: SealedMail, quota?: typeof ROOMY, now?: number) => ReturnType<MailStore['deposit']>
  texts: (cursor?: number) => Promise<string[]>
  all: () => Promise<readonly KeptMail[]>
}

/** Registers the cases of the MailStore port for the adapter that `prepare` gives fresh places of. */
export function mailStoreContract(name: string, prepare: () => Promise<MailStoreFixture>): void {
  describe(`MailStore contract: ${name}`, () => {
    let fixture: MailStoreFixture
    let world: World

    function worldOf(store: MailStore, owner: Recipient): World {
      const all = (): Promise<readonly KeptMail[]> => store.fetch(owner.name, 0, ROOMY)
      return {
        store,
        owner,
        put: (mail, quota = ROOMY, now = NOW) =>
          store.deposit({ mail, hash: sha256(mail.bytes), quota, now }),
        texts: async (cursor = 0) => (await store.fetch(owner.name, cursor, ROOMY)).map(textOf),
        all,
      }
    }
    const reopen = async (): Promise<void> => {
      await world.store[Symbol.asyncDispose]()
      world = worldOf(await fixture.open(), world.owner)
    }

    beforeEach(async () => {
      fixture = await prepare()
      world = worldOf(await fixture.open(), createRecipient(NOW))
      await world.store.register(world.owner.mailbox(), MANY)
    })
    afterEach(async () => {
      await world.store[Symbol.asyncDispose]()
      await fixture.remove()
    })
    mailboxCases(() => world, reopen)
    mailCases(() => world, reopen)
    removalCases(() => world, reopen)
    shelfCases(() => world, reopen)
  })
}

function mailboxCases(world: () => World, reopen: () => Promise<void>): void {
  it('keeps the newest record and the access key', async () => {
    const { owner, store } = world()
    const newer = owner.mailbox({ sequence: 5 })
    expect(await store.register(newer, MANY)).toEqual(newer)
    expect((await store.register(owner.mailbox({ sequence: 4 }), MANY))?.record).toEqual(newer.record)
    const other = owner.mailbox({ sequence: 5, devices: [] })
    expect((await store.register(other, MANY))?.record).toEqual(newer.record)
    const rotated = { ...newer, accessKeyHash: new Uint8Array(32).fill(9) }
    await store.register(rotated, MANY)
    await reopen()
    expect(await world().store.mailbox(owner.name)).toEqual(rotated)
  })

  it('goes by the device that took the account over last, whatever the sequences', async () => {
    const { owner, store } = world()
    const taken = owner.mailbox({ sequence: 1, since: NOW })
    await store.register(owner.mailbox({ sequence: 9 }), MANY)
    expect((await store.register(taken, MANY))?.record).toEqual(taken.record)
    await reopen()
    const before = owner.mailbox({ sequence: 10, since: NOW - 1 })
    expect((await world().store.register(before, MANY))?.record).toEqual(taken.record)
  })

  it('takes a tombstone for the last record of a name', async () => {
    const { owner, store } = world()
    const dead = owner.mailbox({ sequence: 1, tombstone: 'dead' })
    expect((await store.register(dead, MANY))?.record).toEqual(dead.record)
    expect((await store.register(owner.mailbox({ sequence: 9 }), MANY))?.record).toEqual(dead.record)
  })

  it('makes so many mailboxes and no more, while those that are there go on', async () => {
    const { owner, store } = world()
    const second = createRecipient(NOW)
    expect(await store.register(second.mailbox(), 2)).toBeDefined()
    expect(await store.register(createRecipient(NOW).mailbox(), 2)).toBeUndefined()
    expect(await store.register(owner.mailbox({ sequence: 2 }), 2)).toBeDefined()
    expect(await store.totals()).toEqual({ mailboxes: 2, mails: 0, bytes: 0 })
  })

  it('knows nothing of a name without a mailbox', async () => {
    const { put, store } = world()
    const stranger = createRecipient(NOW)
    expect(await store.mailbox(stranger.name)).toBeUndefined()
    expect(await put(stranger.mail('a'))).toBe('unknown')
    expect(await store.fetch(stranger.name, 0, ROOMY)).toEqual([])
    await store.acknowledge(stranger.name, deviceAt(0), 1)
  })
}

function mailCases(world: () => World, reopen: () => Promise<void>): void {
  it('gives mail back as it came, in order of arrival, after a cursor', async () => {
    const { owner, put, all, texts } = world()
    const mails = [owner.mail('a', { keyId: 'k2' }), owner.mail('b', { lane: 'events' }), owner.mail('c')]
    for (const mail of mails) expect(await put(mail)).toBe('kept')
    const kept = await all()
    expect(kept.map(({ mail }) => mail)).toEqual(mails)
    const cursors = kept.map(({ cursor }) => cursor)
    expect(cursors).toEqual(cursors.toSorted((a, b) => a - b))
    expect(new Set(cursors).size).toBe(3)
    expect(await texts(cursors[0])).toEqual(['b', 'c'])
    expect(await texts(cursors[2])).toEqual([])
    await reopen()
    expect(await world().all()).toEqual(kept)
  })

  it('tells who watches of each mail that is kept, until they watch no more', async () => {
    const { owner, put, store } = world()
    const told: string[] = []
    const stop = store.watch((recipient) => told.push(recipient))
    await put(owner.mail('a'))
    await put(owner.mail('a'))
    await expect.poll(() => told).toEqual([owner.name])
    stop()
    await put(owner.mail('b'))
    await world().all()
    expect(told).toEqual([owner.name])
  })

  it('keeps many that come at once, each in one place', async () => {
    const { owner, put, all } = world()
    const mails = Array.from({ length: 300 }, (_, n) => owner.mail(`mail ${n}`))
    expect(new Set(await Promise.all(mails.map((mail) => put(mail))))).toEqual(new Set(['kept']))
    const kept = await all()
    expect(kept.map(textOf)).toEqual(mails.map((_, n) => `mail ${n}`))
    expect(new Set(kept.map(({ cursor }) => cursor)).size).toBe(300)
  })

  it('keeps the same bytes once, at the same time and after a restart', async () => {
    const { owner, put } = world()
    const twice = await Promise.all([put(owner.mail('a')), put(owner.mail('a'))])
    expect(twice.toSorted()).toEqual(['kept', 'known'])
    await reopen()
    expect(await world().put(owner.mail('a', { lane: 'events' }))).toBe('known')
    expect(await world().texts()).toEqual(['a'])
    expect(await world().store.totals()).toEqual({ mailboxes: 1, mails: 1, bytes: 1 })
  })

  it('fetches within bounds, and the first one whatever its size', async () => {
    const { owner, put, store, all } = world()
    for (const text of ['aaaa', 'bb', 'c', 'dd']) await put(owner.mail(text))
    const fetched = async (mails: number, bytes: number): Promise<string[]> =>
      (await store.fetch(owner.name, 0, { mails, bytes })).map(textOf)
    expect(await fetched(2, 100)).toEqual(['aaaa', 'bb'])
    expect(await fetched(9, 7)).toEqual(['aaaa', 'bb', 'c'])
    expect(await fetched(9, 1)).toEqual(['aaaa'])
    const last = async (mails: number, bytes: number, cursor = 0): Promise<string[]> =>
      (await store.fetch(owner.name, cursor, { mails, bytes }, 'last')).map(textOf)
    expect(await last(2, 100)).toEqual((await fetched(9, 100)).slice(-2))
    expect(await last(9, 1)).toEqual((await fetched(9, 100)).slice(-1))
    const cursors = (await all()).map(({ cursor }) => cursor)
    expect(await last(9, 100, cursors.at(-2))).toEqual((await fetched(9, 100)).slice(-1))
    expect(await last(9, 100, cursors.at(-1))).toEqual([])
  })

  it('holds each lane to its quota of mails and bytes, and says known for what is there', async () => {
    const { owner, put } = world()
    const quota = { mails: 2, bytes: 6 }
    expect(await put(owner.mail('aa'), quota)).toBe('kept')
    expect(await put(owner.mail('12345'), quota)).toBe('quota')
    expect(await put(owner.mail('bb'), quota)).toBe('kept')
    expect(await put(owner.mail('c'), quota)).toBe('quota')
    expect(await put(owner.mail('bb'), quota)).toBe('known')
    expect(await put(owner.mail('c', { lane: 'events' }), quota)).toBe('kept')
    await reopen()
    expect(await world().put(owner.mail('d'), quota)).toBe('quota')
    expect(await world().put(createRecipient(NOW).mail('d'), quota)).toBe('unknown')
  })
}

function removalCases(world: () => World, reopen: () => Promise<void>): void {
  it('removes what every device of the record has, and gives its room back', async () => {
    const { owner, put, store, texts, all } = world()
    const quota = { mails: 2, bytes: 100 }
    await put(owner.mail('a'), quota)
    await put(owner.mail('b'), quota)
    const [first, second] = await all()
    await store.acknowledge(owner.name, deviceAt(0), second?.cursor ?? 0)
    expect(await texts()).toEqual(['a', 'b'])
    await store.acknowledge(owner.name, deviceAt(1), first?.cursor ?? 0)
    expect(await texts()).toEqual(['b'])
    expect(await put(owner.mail('c'), quota)).toBe('kept')
    await reopen()
    await world().store.acknowledge(owner.name, deviceAt(1), second?.cursor ?? 0)
    expect(await world().texts()).toEqual(['c'])
  })

  it('heeds no device beyond the record, and none that goes back', async () => {
    const { owner, put, store, texts, all } = world()
    await put(owner.mail('a'))
    const cursor = (await all())[0]?.cursor ?? 0
    await store.acknowledge(owner.name, deviceAt(0), cursor)
    await store.acknowledge(owner.name, deviceAt(0), 1)
    await store.acknowledge(owner.name, deviceAt(5), cursor)
    expect(await texts()).toEqual(['a'])
    await store.acknowledge(owner.name, deviceAt(1), cursor)
    expect(await texts()).toEqual([])
  })

  it('waits no more for a device that the newest record leaves out', async () => {
    const { owner, put, store, texts, all } = world()
    await put(owner.mail('a'))
    await store.acknowledge(owner.name, deviceAt(0), (await all())[0]?.cursor ?? 0)
    await store.register(owner.mailbox({ sequence: 2, devices: [deviceAt(0)] }), MANY)
    expect(await texts()).toEqual([])
  })

  it('lets nobody acknowledge what has not come yet', async () => {
    const { owner, put, store, texts } = world()
    await put(owner.mail('a'))
    for (const n of [0, 1]) await store.acknowledge(owner.name, deviceAt(n), Number.MAX_SAFE_INTEGER)
    expect(await texts()).toEqual([])
    await put(owner.mail('b'))
    await store.acknowledge(owner.name, deviceAt(0), Number.MAX_SAFE_INTEGER)
    expect(await texts()).toEqual(['b'])
  })

  it('gives cursors that rise whichever mail was removed last', async () => {
    const { owner, put, store, all } = world()
    await put(owner.mail('low'))
    await put(owner.mail('high', { expires: NOW + 1 }), ROOMY, NOW + DAY_MS)
    const [low, high] = (await all()).map(({ cursor }) => cursor)
    await store.expire(NOW + 1)
    for (const n of [0, 1]) await store.acknowledge(owner.name, deviceAt(n), low ?? 0)
    await reopen()
    await world().put(owner.mail('next'))
    expect((await world().all())[0]?.cursor).toBeGreaterThan(high ?? Number.NaN)
  })

  it('gives cursors that rise when all mail is gone and the clock was set back', async () => {
    const { owner, put, store, all } = world()
    await put(owner.mail('a'))
    const before = (await all())[0]?.cursor ?? Number.NaN
    for (const n of [0, 1]) await store.acknowledge(owner.name, deviceAt(n), before)
    await reopen()
    await world().put(owner.mail('b'), ROOMY, NOW - 365 * DAY_MS)
    expect((await world().all())[0]?.cursor).toBeGreaterThan(before)
  })

  it('removes what expired, all of it, and empty mailboxes with it', async () => {
    const { owner, put, store, texts } = world()
    const short = Array.from({ length: 450 }, (_, n) => owner.mail(`${n}`, { expires: NOW + 10 }))
    await Promise.all([...short, owner.mail('stays')].map((mail) => put(mail)))
    await store.expire(NOW + 10)
    expect(await texts()).toEqual(['stays'])
    await store.expire(NOW + 60 * DAY_MS)
    expect(await store.mailbox(owner.name)).toBeUndefined()
    expect(await store.totals()).toEqual({ mailboxes: 0, mails: 0, bytes: 0 })
  })
}

const keyOf = (id: string): JsonObject => ({ [`signed_curve25519:${id}`]: { key: id } })

function shelfCases(world: () => World, reopen: () => Promise<void>): void {
  const stock = (shelf: SignedShelf, keys: ShelfKeys = {}): ReturnType<MailStore['stock']> =>
    world().store.stock({ name: world().owner.name, shelf, keys, maxShelves: 2, maxKeys: MAX_SHELF_KEYS + 2 })
  const claim = (device: string, mayTake = true): Promise<JsonObject | undefined> =>
    world().store.claim({ name: world().owner.name, user: world().owner.user, device, mayTake })
  const shelf = (): Promise<SignedShelf | undefined> =>
    world().store.shelf(world().owner.name, world().owner.user)

  it('keeps the newest shelf of a user', async () => {
    const { owner } = world()
    expect(await shelf()).toBeUndefined()
    const none = { left: 0, fallbackUsed: false }
    expect(await stock(owner.shelf({ sequence: 5 }))).toEqual({ A: none, B: none })
    expect(await stock(owner.shelf({ sequence: 4 }))).toBe('old')
    expect(await stock(owner.shelf({ sequence: 5, expires: NOW + 1 }))).toBe('old')
    await reopen()
    expect(await shelf()).toEqual(owner.shelf({ sequence: 5 }))
    expect(await stock(owner.shelf({ sequence: 6 }))).toEqual({ A: none, B: none })
    expect(await shelf()).toEqual(owner.shelf({ sequence: 6 }))
  })

  it('gives each one-time key once, in the order in which they came, also after a restart', async () => {
    const { owner } = world()
    await stock(owner.shelf(), { A: { add: [keyOf('1'), keyOf('2')] }, B: { add: [keyOf('3')] } })
    expect(await stock(owner.shelf(), { A: { add: [keyOf('4')] } })).toMatchObject({ A: { left: 3 } })
    expect(await claim('A')).toEqual(keyOf('1'))
    await reopen()
    const both = await Promise.all([claim('A'), claim('A')])
    expect(both).toEqual([keyOf('2'), keyOf('4')])
    expect(await claim('A')).toBeUndefined()
    expect(await claim('C')).toBeUndefined()
    expect(await claim('B')).toEqual(keyOf('3'))
  })

  it('gives the fallback key as often as it is asked, and says that it did until it gets another', async () => {
    const { owner } = world()
    await stock(owner.shelf(), { A: { add: [keyOf('1')], fallback: keyOf('f') } })
    expect(await claim('A', false)).toEqual(keyOf('f'))
    expect(await claim('A')).toEqual(keyOf('1'))
    expect(await claim('A')).toEqual(keyOf('f'))
    await reopen()
    const used = { A: { left: 0, fallbackUsed: true }, B: { left: 0, fallbackUsed: false } }
    expect(await stock(owner.shelf())).toEqual(used)
    expect(await stock(owner.shelf(), { A: { add: [], fallback: keyOf('f') } })).toEqual(used)
    const fresh = await stock(owner.shelf(), { A: { add: [], fallback: keyOf('g') } })
    expect(fresh).toMatchObject({ A: { left: 0, fallbackUsed: false } })
    expect(await claim('A')).toEqual(keyOf('g'))
  })

  it('drops the keys of a device that the newest shelf leaves out', async () => {
    const { owner } = world()
    await stock(owner.shelf(), { A: { add: [keyOf('1')], fallback: keyOf('f') }, C: { add: [keyOf('2')] } })
    expect(await claim('C')).toBeUndefined()
    const list = listOf(owner.user, ['B'])
    expect(await stock(owner.shelf({ sequence: 2, list }))).toEqual({ B: { left: 0, fallbackUsed: false } })
    expect(await claim('A')).toBeUndefined()
  })

  it('holds so many shelves and keys and no more, and none without a mailbox', async () => {
    const { owner } = world()
    const of = (localpart: string): SignedShelf => {
      const user = `@${localpart}:${owner.name}` as UserId
      return owner.shelf({ user, list: listOf(user, ['A']) })
    }
    const many = Array.from({ length: MAX_SHELF_KEYS }, (_, n) => keyOf(`${n}`))
    await stock(of('ada'), { A: { add: [keyOf('x')] } })
    expect(await stock(of('ada'), { A: { add: many } })).toMatchObject({ A: { left: MAX_SHELF_KEYS } })
    expect(await stock(of('bob'))).toBeTypeOf('object')
    expect(await stock(of('cem'))).toBe('quota')
    expect(await stock(of('bob'))).toBeTypeOf('object')
    // Of all users together, of which nothing is kept when they would be too many; one that was given out makes room.
    const three = { A: { add: [keyOf('p'), keyOf('q'), keyOf('r')] } }
    expect(await stock(of('bob'), three)).toBe('quota')
    expect(await stock(of('bob'))).toMatchObject({ A: { left: 0 } })
    expect(await claim('A')).toEqual(keyOf('x'))
    expect(await stock(of('bob'), three)).toMatchObject({ A: { left: 3 } })
    expect(await stock(of('bob'), { A: { add: [], fallback: keyOf('f') } })).toMatchObject({ A: { left: 3 } })
    const stranger = createRecipient(NOW)
    const { name, user } = stranger
    expect(
      await world().store.stock({ name, shelf: stranger.shelf(), keys: {}, maxShelves: 1, maxKeys: 1 }),
    ).toBe('unknown')
    expect(await world().store.shelf(name, user)).toBeUndefined()
    expect(await world().store.claim({ name, user, device: 'A', mayTake: true })).toBeUndefined()
  })

  it('removes shelves with their mailbox', async () => {
    const { owner, store } = world()
    await stock(owner.shelf(), { A: { add: [keyOf('1')] } })
    await store.expire(NOW + 60 * DAY_MS)
    await store.register(owner.mailbox(), MANY)
    expect(await shelf()).toBeUndefined()
    expect(await stock(owner.shelf())).toMatchObject({ A: { left: 0 } })
  })
}
