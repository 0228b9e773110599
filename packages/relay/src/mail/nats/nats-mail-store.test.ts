import { jetstreamManager, StorageType, type JetStreamManager } from '@nats-io/jetstream'
import { connect, headers } from '@nats-io/transport-node'
import type { UserId } from '@plexus/core'
import type { SealedMail } from '@plexus/engine/ports'
import { encodeCursor, MailboxFrame as K } from '@plexus/p2p/wire'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mailStoreContract } from '../../contract/mail-store-contract.ts'
import { registration, RELAY, visit } from '../../testing/mail-world.ts'
import { createClock } from '../../testing/streams.ts'
import { natsMissing, startNats, type NatsServers } from '../../testing/nats.ts'
import { createRecipient, deviceAt, listOf, sha256, type Recipient } from '../../testing/recipients.ts'
import type { MailStore } from '../mail-store.ts'
import { createMailService } from '../mail-service.ts'
import { DEFAULT_MAIL_POLICY } from '../policy.ts'
import { createSources } from '../sources.ts'
import { tokenOf } from './documents.ts'
import { openNatsMailStore } from './nats-mail-store.ts'

const NOW = Date.UTC(2026, 0, 1)
const DAY_MS = 24 * 3_600_000
const BOUNDS = { maxShelves: 9, maxKeys: 1_000 }
const ROOMY = { mails: 1_000, bytes: 1_000_000 }

describe.skipIf(natsMissing !== '')(`mail in NATS${natsMissing}`, () => {
  let servers: NatsServers
  let place = 0
  beforeAll(async () => {
    servers = await startNats(1)
  })
  afterAll(() => servers[Symbol.asyncDispose]())

  const open = (prefix: string, now = NOW, maxBytes = 100_000_000): Promise<MailStore> =>
    openNatsMailStore(
      { log: { log: () => undefined }, now: () => now },
      { servers: servers.urls, prefix, maxBytes },
    )

  mailStoreContract('NATS', async () => {
    place += 1
    const prefix = `contract${place}`
    return { open: () => open(prefix), remove: async () => undefined }
  })

  type Shared = { stores: MailStore[]; owner: Recipient; put: Put }
  type Put = (
    n: number,
    text: string,
    quota?: typeof ROOMY,
    change?: Partial<SealedMail>,
  ) => ReturnType<MailStore['deposit']>

  /** Several relays that have one cluster, with one mailbox. */
  async function share(howMany: number): Promise<Shared & AsyncDisposable> {
    place += 1
    const prefix = `shared${place}`
    const stores = await Promise.all(Array.from({ length: howMany }, () => open(prefix)))
    const owner = createRecipient(NOW)
    await at(stores, 0).register(owner.mailbox(), 100)
    for (const store of stores) await expect.poll(() => store.mailbox(owner.name)).toBeDefined()
    return {
      stores,
      owner,
      put(n, text, quota = ROOMY, change = {}) {
        const mail = owner.mail(text, change)
        return at(stores, n).deposit({ mail, hash: sha256(mail.bytes), quota, now: NOW })
      },
      async [Symbol.asyncDispose]() {
        for (const store of stores) await store[Symbol.asyncDispose]()
      },
    }
  }
  const at = <T>(items: readonly T[], n: number): T => items[n] as T
  const texts = async (store: MailStore, { name }: Recipient, cursor = 0): Promise<string[]> =>
    (await store.fetch(name, cursor, ROOMY)).map(({ mail }) => new TextDecoder().decode(mail.bytes))

  it('holds a lane to its quota of mails and bytes though three relays write at once', async () => {
    await using shared = await share(3)
    const { put, owner, stores } = shared
    const many = Array.from({ length: 30 }, (_, n) => put(n % 3, `${n}`, { mails: 10, bytes: 1_000 }))
    const outcomes = await Promise.all(many)
    expect(outcomes.filter((outcome) => outcome === 'kept')).toHaveLength(10)
    const lane = { lane: 'events' } as const
    const large = Array.from({ length: 12 }, (_, n) =>
      put(n % 3, `${n}`.padStart(40, '.'), { mails: 100, bytes: 200 }, lane),
    )
    expect((await Promise.all(large)).filter((outcome) => outcome === 'kept')).toHaveLength(5)
    for (const store of stores) await expect.poll(() => texts(store, owner)).toHaveLength(15)
    expect(await at(stores, 2).totals()).toMatchObject({ mailboxes: 1, mails: 15 })
  })

  it('keeps the same bytes once, whichever relays they are left at', async () => {
    await using shared = await share(3)
    const { put, owner, stores } = shared
    const outcomes = await Promise.all([0, 1, 2, 0, 1, 2].map((n) => put(n, 'same')))
    expect(outcomes.toSorted()).toEqual(['kept', 'known', 'known', 'known', 'known', 'known'])
    await expect.poll(() => texts(at(stores, 1), owner)).toEqual(['same'])
  })

  it('tells at each relay of mail that was left at another, and gives it there in one order', async () => {
    await using shared = await share(2)
    const { put, owner, stores } = shared
    const told: string[] = []
    at(stores, 1).watch((recipient) => told.push(recipient))
    await Promise.all(Array.from({ length: 20 }, (_, n) => put(n % 2, `${n}`)))
    await expect.poll(() => told).toEqual(Array.from({ length: 20 }, () => owner.name))
    await expect.poll(() => texts(at(stores, 0), owner)).toHaveLength(20)
    const [here, there] = await Promise.all(stores.map((store) => store.fetch(owner.name, 0, ROOMY)))
    expect(there).toEqual(here)
    expect(here?.map(({ cursor }) => cursor)).toEqual(
      here?.map(({ cursor }) => cursor).toSorted((a, b) => a - b),
    )
  })

  it('announces mail that was left at one relay to an owner who is connected at another', async () => {
    await using shared = await share(2)
    const { owner, stores } = shared
    const policy = { ...DEFAULT_MAIL_POLICY, proofBits: 6 }
    const clock = createClock(NOW)
    const sources = createSources(clock, policy)
    const deps = { clock, log: { log: () => undefined }, sources, registered: () => undefined }
    const services = stores.map((store) => createMailService({ ...deps, store }, { relay: RELAY, policy }))
    const mine = visit(deviceAt(0), undefined, at(services, 1))
    expect(await mine.ask(K.register, registration(deviceAt(0), undefined, {}, owner))).toBe('done')
    expect(await visit(deviceAt(9), undefined, at(services, 0)).leave(owner.mail('hello'))).toBe('done')
    await expect.poll(() => mine.got.map(({ kind }) => kind)).toContain(K.announce)
    expect(await mine.ask(K.fetch, encodeCursor(0))).toBe('done')
    expect(mine.got.filter(({ kind }) => kind === K.mail)).toHaveLength(1)
    for (const service of services) await service.close()
  })

  it('counts acknowledgements together, at whichever relays devices make them', async () => {
    await using shared = await share(2)
    const { put, owner, stores } = shared
    const quota = { mails: 1, bytes: 100 }
    expect(await put(0, 'a', quota)).toBe('kept')
    for (const n of [0, 1]) {
      const fetch = (): ReturnType<MailStore['fetch']> => at(stores, n).fetch(owner.name, 0, ROOMY)
      await expect.poll(fetch).toHaveLength(1)
      await at(stores, n).acknowledge(owner.name, deviceAt(n), (await fetch())[0]?.cursor ?? 0)
    }
    await expect.poll(() => put(0, 'b', quota)).toBe('kept')
    await expect.poll(() => texts(at(stores, 1), owner)).toEqual(['b'])
  })

  it('gives each one-time key once though relays are asked at once', async () => {
    await using shared = await share(3)
    const { owner, stores } = shared
    const keys = Array.from({ length: 12 }, (_, n) => ({ [`signed_curve25519:${n}`]: { key: `${n}` } }))
    const { name, user } = owner
    await at(stores, 0).stock({ name, shelf: owner.shelf(), keys: { A: { add: keys } }, ...BOUNDS })
    await expect.poll(() => at(stores, 1).shelf(name, user)).toBeDefined()
    await expect.poll(() => at(stores, 2).shelf(name, user)).toBeDefined()
    const claims = Array.from({ length: 15 }, (_, n) =>
      at(stores, n % 3).claim({ name, user, device: 'A', mayTake: true }),
    )
    const given = (await Promise.all(claims)).filter((key) => key !== undefined)
    expect(given.map((key) => JSON.stringify(key)).toSorted()).toEqual(
      keys.map((key) => JSON.stringify(key)).toSorted(),
    )
  })

  it('knows the newest record at each relay, and a mailbox that ended and began anew', async () => {
    await using shared = await share(2)
    const { owner, stores } = shared
    const [here, there] = [at(stores, 0), at(stores, 1)]
    const sequence = async (store: MailStore): Promise<number | undefined> =>
      (await store.mailbox(owner.name))?.record.record.sequence
    await Promise.all([
      here.register(owner.mailbox({ sequence: 3 }), 100),
      there.register(owner.mailbox({ sequence: 2 }), 100),
    ])
    for (const store of stores) await expect.poll(() => sequence(store)).toBe(3)
    await here.expire(NOW + 60 * DAY_MS)
    await expect.poll(() => sequence(there)).toBeUndefined()
    await there.register(owner.mailbox({ sequence: 1 }), 100)
    for (const store of stores) await expect.poll(() => sequence(store)).toBe(1)
    await here.expire(NOW + 60 * DAY_MS)
    for (const store of stores) await store.expire(NOW + 62 * DAY_MS)
    await there.register(owner.mailbox({ sequence: 1 }), 100)
    for (const store of stores) await expect.poll(() => sequence(store)).toBe(1)
  })

  it('takes no more when the space allowed is used up, until mail is acknowledged', async () => {
    place += 1
    await using store = await open(`full${place}`, NOW, 400_000)
    const owner = createRecipient(NOW)
    await store.register(owner.mailbox(), 10)
    const put = (n: number): ReturnType<MailStore['deposit']> => {
      const mail = owner.mail('', { bytes: new Uint8Array(100_000).fill(n) })
      return store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
    }
    const outcomes = await Promise.all(Array.from({ length: 6 }, (_, n) => put(n)))
    expect(outcomes).toEqual(['kept', 'kept', 'kept', 'quota', 'quota', 'quota'])
    expect(await put(0)).toBe('known')
    const kept = await store.fetch(owner.name, 0, ROOMY)
    for (const n of [0, 1]) await store.acknowledge(owner.name, deviceAt(n), kept.at(-1)?.cursor ?? 0)
    expect(await put(99)).toBe('kept')
  })

  it('takes no more shelves when the space allowed is used up, and mail counts them', async () => {
    place += 1
    await using store = await open(`shelves${place}`, NOW, 40_000)
    const owner = createRecipient(NOW)
    await store.register(owner.mailbox(), 10)
    const add = Array.from({ length: 30 }, (_, n) => ({ [`k:${n}`]: { key: 'x'.repeat(900) } }))
    const { name } = owner
    const stock = (localpart: string): ReturnType<MailStore['stock']> => {
      const user = `@${localpart}:${name}` as UserId
      const shelf = owner.shelf({ user, list: listOf(user, ['A']) })
      return store.stock({ name, shelf, keys: { A: { add } }, ...BOUNDS })
    }
    expect(await stock('ada')).toMatchObject({ A: { left: 30 } })
    expect(await stock('bob')).toBe('quota')
    const mail = owner.mail('', { bytes: new Uint8Array(15_000) })
    expect(await store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })).toBe('quota')
    for (let n = 0; n < 30; n += 1)
      await store.claim({ name, user: `@ada:${name}` as UserId, device: 'A', mayTake: true })
    expect(await stock('bob')).toMatchObject({ A: { left: 30 } })
  })

  it('holds so many mails, since each takes memory', async () => {
    place += 1
    const deps = { log: { log: () => undefined }, now: () => NOW }
    const init = { servers: servers.urls, prefix: `many${place}`, maxBytes: 1_000_000, maxMails: 2 }
    await using store = await openNatsMailStore(deps, init)
    const owner = createRecipient(NOW)
    await store.register(owner.mailbox(), 10)
    const put = (text: string): ReturnType<MailStore['deposit']> => {
      const mail = owner.mail(text)
      return store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
    }
    expect(await Promise.all(['a', 'b', 'c', 'a'].map(put))).toEqual(['kept', 'kept', 'quota', 'known'])
  })

  it('gives cursors that rise also after the streams began anew', async () => {
    place += 1
    const owner = createRecipient(NOW)
    const first = async (now: number): Promise<number> => {
      await using store = await open(`anew${place}`, now)
      await store.register(owner.mailbox(), 10)
      const mail = owner.mail(`${now}`)
      await store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now })
      return (await store.fetch(owner.name, 0, ROOMY)).at(-1)?.cursor ?? Number.NaN
    }
    const before = await first(NOW)
    await using admin = await administer()
    for (const stream of ['mail', 'box']) await admin.manager.streams.delete(`anew${place}-${stream}`)
    expect(await first(NOW + 1)).toBeGreaterThan(before)
  })

  it('removes what another relay noted as acknowledged and did not come to remove', async () => {
    place += 1
    const prefix = `killed${place}`
    const owner = createRecipient(NOW)
    await using admin = await administer()
    {
      await using store = await open(prefix)
      await store.register(owner.mailbox(), 10)
      const mail = owner.mail('a')
      await store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
      const { lastSeq } = await admin.state(`${prefix}-mail`)
      for (const n of [0, 1])
        await admin.say(`${prefix}.box.${tokenOf(owner.name)}.a.${deviceAt(n)}`, { seq: lastSeq })
    }
    await using store = await open(prefix)
    expect(await texts(store, owner)).toEqual([])
    // The two that say when a run began.
    expect(await admin.state(`${prefix}-mail`)).toMatchObject({ messages: 2 })
  })

  it('has no key to give once shelves were purged, as after a restored backup, until the owner brings others', async () => {
    place += 1
    const prefix = `restored${place}`
    const owner = createRecipient(NOW)
    await using admin = await administer()
    const { name, user } = owner
    const stock = (store: MailStore, key: string): ReturnType<MailStore['stock']> =>
      store.stock({ name, shelf: owner.shelf(), keys: { A: { add: [{ [key]: {} }] } }, ...BOUNDS })
    const claim = (store: MailStore): ReturnType<MailStore['claim']> =>
      store.claim({ name, user, device: 'A', mayTake: true })
    {
      await using store = await open(prefix)
      await store.register(owner.mailbox(), 10)
      await stock(store, 'given before')
    }
    await admin.manager.streams.purge(`${prefix}-box`, { filter: `${prefix}.box.*.s.>` })
    await using store = await open(prefix)
    expect(await claim(store)).toBeUndefined()
    expect(await store.mailbox(name)).toBeDefined()
    await stock(store, 'new')
    expect(await claim(store)).toEqual({ new: {} })
  })

  it('passes over what no relay wrote', async () => {
    await using shared = await share(1)
    const { put, owner, stores } = shared
    await using admin = await administer()
    for (const subject of ['mail.m.x.0', 'mail.base', 'box.x.r.0'])
      await admin.say(`shared${place}.${subject}`)
    expect(await put(0, 'a')).toBe('kept')
    expect(await texts(at(stores, 0), owner)).toEqual(['a'])
  })

  it('refuses streams that lose what they take, and servers that are not there', async () => {
    place += 1
    await using admin = await administer()
    const name = `memory${place}`
    await admin.manager.streams.add({
      name: `${name}-mail`,
      subjects: [`${name}.mail.>`],
      storage: StorageType.Memory,
    })
    await expect(open(name)).rejects.toMatchObject({ name: 'StoreError', code: 'failed' })
    const none = { servers: ['nats://127.0.0.1:1'], maxBytes: 1 }
    const deps = { log: { log: () => undefined }, now: () => NOW }
    await expect(openNatsMailStore(deps, none)).rejects.toMatchObject({ name: 'StoreError', code: 'failed' })
  })

  it('says that it takes nothing while no server is there, and goes on when one is', async () => {
    await using own = await startNats(1)
    const deps = { log: { log: () => undefined }, now: () => NOW }
    await using store = await openNatsMailStore(deps, { servers: own.urls, maxBytes: 100_000_000 })
    const owner = createRecipient(NOW)
    await store.register(owner.mailbox(), 10)
    await own.kill(0)
    await expect.poll(() => store.failure).toMatchObject({ code: 'failed' })
    const mail = owner.mail('a')
    const outcome = store.deposit({ mail, hash: sha256(mail.bytes), quota: ROOMY, now: NOW })
    await own.start(0)
    expect(await outcome).toBe('kept')
    expect(store.failure).toBeUndefined()
    expect(await texts(store, owner)).toEqual(['a'])
  })

  async function administer(): Promise<Admin> {
    const connection = await connect({ servers: [...servers.urls] })
    const manager = await jetstreamManager(connection)
    return {
      manager,
      async state(stream) {
        const { state } = await manager.streams.info(stream)
        return { messages: state.messages, lastSeq: state.last_seq }
      },
      async say(subject, label) {
        const head = headers()
        if (label !== undefined) head.set('Plexus', JSON.stringify(label))
        await manager.jetstream().publish(subject, '', { headers: head })
      },
      [Symbol.asyncDispose]: () => connection.close(),
    }
  }
})

interface Admin extends AsyncDisposable {
  readonly manager: JetStreamManager
  state(stream: string): Promise<{ messages: number; lastSeq: number }>
  say(subject: string, label?: object): Promise<void>
}
