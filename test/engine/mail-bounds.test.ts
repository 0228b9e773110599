/** What others can make a node keep and do by mail. */
import { encodeBase64, type ServerName } from '@plexus/core'
import { accountRecords, type SignedAccountRecord } from '@plexus/core/names'
import type { Clock, KeptMail, Store } from '@plexus/engine/ports'
import {
  contactContent,
  createCommitter,
  createInbox,
  createSender,
  FIRST_SEEK_PAUSE_MS,
  loadContacts,
  loadOutboxMemory,
  loadOwnMailboxes,
  loadReceivedQueue,
  MAX_CONTACTS,
  MAX_FETCHES,
  MAX_MAIL_NEWS,
  MAX_TOLD_MAILS,
  MAX_TOLD_RELAYS,
  MAX_UNTOLD,
  MAX_UNTOLD_OF_ORIGIN,
  MAX_USELESS_MAILS,
  SEEK_INTERVAL_MS,
  type Committer,
} from '@plexus/engine/testing'
import { createMemoryDisk, createMemoryStore, openMemoryStore, type Fault } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import { createQuickSealer } from '../kit/mail-relay.ts'

const DAY = 86_400_000
const ACCESS_KEY = encodeBase64(new Uint8Array(32))
const log = { log: () => undefined }

let now: number
let store: Store
let committer: Committer
const clock: Clock = { now: () => now, after: () => () => undefined }

beforeEach(async () => {
  now = 1_700_000_000_000
  store = await createMemoryStore()
  committer = await createCommitter(store)
})

const rows = async (map: string): Promise<number> => (await store.range(map, '', '\u00ff')).length

async function signed(seed: number, sequence = 1): Promise<SignedAccountRecord> {
  const signer = testSigner(seed)
  const fields = { mailboxes: [], devices: [], sealingKeys: [] }
  const record = { name: signer.name, sequence, expires: now + 1_000_000, ...fields }
  return { record, signature: encodeBase64(await signer.sign(accountRecords.bytes(record))) }
}

describe('contacts', () => {
  const sharing = new Set<string>()
  let asked: number
  let awaySince: number | undefined
  let found: SignedAccountRecord | undefined
  const load = () =>
    loadContacts({
      store,
      committer,
      clock,
      sharesRoom: (name) => sharing.has(name),
      awaySince: () => awaySince,
      find: async () => {
        asked += 1
        return found
      },
    })
  const tell = async (origin: ServerName, content: Parameters<typeof contactContent>, key?: unknown) => {
    const contacts = await load()
    const effect = await contacts.edu(origin, {
      ...contactContent(...content),
      ...(key === undefined ? {} : { accessKey: key as string }),
    })
    if (effect !== undefined) await committer.submit({ writes: effect.writes })
    return effect !== undefined
  }
  beforeEach(() => {
    sharing.clear()
    asked = 0
    awaySince = undefined
    found = undefined
  })

  it('are what the node itself says, never older than what it said before', async () => {
    const { name } = testSigner(1)
    expect(await tell(name, [await signed(1, 2), ACCESS_KEY])).toBe(true)
    expect(await tell(name, [await signed(1, 1), ACCESS_KEY])).toBe(false)
    expect(await tell(name, [await signed(1, 3), ACCESS_KEY])).toBe(true)
    expect(await (await load()).get(name)).toMatchObject({
      accessKey: ACCESS_KEY,
      signed: { record: { sequence: 3 } },
    })
    now += 1_000_000
    expect(await (await load()).get(name)).toBeUndefined()
  })

  it('are not what is said of somebody else, unsigned, or without a key', async () => {
    const { name } = testSigner(1)
    const other = await signed(2)
    expect(await tell(name, [other, ACCESS_KEY])).toBe(false)
    const { record, signature } = await signed(1)
    expect(await tell(name, [{ record: { ...record, sequence: 9 }, signature }, ACCESS_KEY])).toBe(false)
    for (const key of [null, 1, '', 'A'.repeat(42), 'A'.repeat(1_000)])
      expect(await tell(name, [{ record, signature }, ACCESS_KEY], key)).toBe(false)
    expect(await rows('contact')).toBe(0)
  })

  it('are bounded, and who shares a room stays', async () => {
    const contact = JSON.stringify({ signed: await signed(9) })
    const names = Array.from({ length: MAX_CONTACTS }, (_, index) => `n${String(index).padStart(5, '0')}`)
    await store.commit(
      names.map((name) => ({ map: 'contact', key: `${name}\u0001`, value: contact })),
      'relaxed',
    )
    sharing.add('n00000')
    expect(await tell(testSigner(1).name, [await signed(1), ACCESS_KEY])).toBe(true)
    expect(await rows('contact')).toBe(MAX_CONTACTS)
    expect(await store.get('contact', 'n00000\u0001')).toBeDefined()
    expect(await store.get('contact', 'n00001\u0001')).toBeUndefined()
    for (const name of [...names, testSigner(1).name]) sharing.add(name)
    await tell(testSigner(2).name, [await signed(2), ACCESS_KEY])
    expect(await rows('contact')).toBe(MAX_CONTACTS)
    expect(await (await load()).get(testSigner(2).name)).toBeUndefined()
  })

  it('whose commit fails are as the disk has them', async () => {
    const disk = createMemoryDisk({ fault: () => Promise.resolve(fault) })
    let fault: Fault = 'none'
    store = await openMemoryStore(disk)
    committer = await createCommitter(store)
    const names = Array.from({ length: MAX_CONTACTS }, (_, index) => `n${String(index).padStart(5, '0')}`)
    const contact = JSON.stringify({ signed: await signed(9) })
    await store.commit(
      names.map((name) => ({ map: 'contact', key: `${name}\u0001`, value: contact })),
      'relaxed',
    )
    const contacts = await load()
    fault = 'failed'
    await expect(contacts.learn(await signed(1))).rejects.toMatchObject({ name: 'StoreError' })
    fault = 'none'
    for (const seed of [2, 1]) expect(await contacts.learn(await signed(seed))).toBe(true)
    expect(await rows('contact')).toBe(MAX_CONTACTS)
    expect(await store.get('contact', 'n00001\u0001')).toBeUndefined()
    expect(await store.get('contact', 'n00002\u0001')).toBeDefined()
  })

  it('are looked up once in a while, and believed for themselves only', async () => {
    const contacts = await load()
    const { name } = testSigner(1)
    found = await signed(2)
    expect(await contacts.seek(name)).toBeUndefined()
    found = await signed(1)
    expect(await contacts.seek(name)).toBeUndefined()
    expect(asked).toBe(1)
    now += FIRST_SEEK_PAUSE_MS
    found = await signed(1)
    expect(await contacts.seek(name)).toMatchObject({ signed: found })
  })

  it('are looked up less and less often while nobody knows them', async () => {
    const contacts = await load()
    const { name } = testSigner(1)
    const starts: number[] = []
    for (const start = now; now - start < 4 * SEEK_INTERVAL_MS; now += FIRST_SEEK_PAUSE_MS) {
      const before = asked
      await contacts.seek(name)
      if (asked > before) starts.push((now - start) / FIRST_SEEK_PAUSE_MS)
    }
    expect(starts).toEqual([0, 1, 3, 7, 15, 31, 61, 91])
  })

  it('are looked up once a day while they have been away for weeks, and soon again once heard from', async () => {
    const contacts = await load()
    const { name } = testSigner(1)
    awaySince = now - 20 * DAY
    const seekFor = async (ms: number): Promise<number> => {
      const before = asked
      for (const end = now + ms; now < end; now += FIRST_SEEK_PAUSE_MS) await contacts.seek(name)
      return asked - before
    }
    // Some after each start, when relays may not have been there yet.
    expect([await seekFor(DAY), await seekFor(3 * DAY)]).toEqual([4, 3])
    awaySince = undefined
    expect(await seekFor(SEEK_INTERVAL_MS)).toBe(1)
  })

  it('are looked up once for all who ask meanwhile', async () => {
    const contacts = await load()
    const { name } = testSigner(1)
    found = await signed(1)
    const answers = await Promise.all([contacts.seek(name), contacts.seek(name), contacts.hasMailboxes(name)])
    expect(answers).toMatchObject([{ signed: found }, { signed: found }, false])
    expect(asked).toBe(1)
  })
})

describe('what came by mail', () => {
  it('is told in portions, and of one origin no more than a bound', async () => {
    const queue = await loadReceivedQueue({ store, committer })
    const { name: origin } = testSigner(1)
    const mail = (index: number) => ({ origin, incarnation: 'i', txnId: `t${index}`, relay: 'r' })
    const writes = Array.from({ length: MAX_UNTOLD_OF_ORIGIN + 10 }, (_, index) => queue.note(mail(index)))
    await committer.submit({ writes: () => writes.flat() })
    expect(await rows('mail-received')).toBe(MAX_UNTOLD_OF_ORIGIN)
    const again = await loadReceivedQueue({ store, committer })
    expect(again.note(mail(MAX_UNTOLD_OF_ORIGIN + 1))).toEqual([])
    const telling = await again.gather(origin)
    expect(telling?.received.transactions['r']?.length).toBe(MAX_TOLD_MAILS)
    await telling?.done()
    await telling?.done()
    expect(await rows('mail-received')).toBe(MAX_UNTOLD_OF_ORIGIN - MAX_TOLD_MAILS)
    expect(again.note(mail(MAX_UNTOLD_OF_ORIGIN + 1)).length).toBe(1)
  })
})

describe('what came by mail of many', () => {
  it('is told of so many mails in all', async () => {
    const queue = await loadReceivedQueue({ store, committer })
    const note = (origin: string, index: number) =>
      queue.note({ origin: origin as ServerName, incarnation: 'i', txnId: `t${index}`, relay: 'r' })
    let kept = 0
    for (let index = 0; index < MAX_UNTOLD; index += 1)
      kept += note(`o${Math.floor(index / MAX_UNTOLD_OF_ORIGIN)}`, index).length
    expect(kept).toBe(MAX_UNTOLD)
    expect(note('another', 0)).toEqual([])
    expect(queue.origins).not.toContain('another')
  })

  it('is told of so many relays at once, and of the others next', async () => {
    const queue = await loadReceivedQueue({ store, committer })
    const { name: origin } = testSigner(1)
    const relays = Array.from({ length: MAX_TOLD_RELAYS + 3 }, (_, index) => `r${index}`)
    const writes = relays.flatMap((relay, index) =>
      queue.note({ origin, incarnation: 'i', txnId: `t${String(index).padStart(2, '0')}`, relay }),
    )
    await committer.submit({ writes: () => writes })
    const first = await queue.gather(origin)
    expect(Object.keys(first?.received.transactions ?? {})).toEqual(relays.slice(0, MAX_TOLD_RELAYS))
    await first?.done()
    const second = await queue.gather(origin)
    expect(Object.keys(second?.received.transactions ?? {})).toEqual(relays.slice(MAX_TOLD_RELAYS))
    await second?.done()
    expect(queue.origins).toEqual([])
  })
})

describe('what a destination tells of our mail', () => {
  it('waits in a line of so many', async () => {
    const memory = await loadOutboxMemory(store)
    const { name } = testSigner(1)
    const { mail } = memory.destination(name)
    const gate = Promise.withResolvers<void>()
    const mailer = { workOff: () => gate.promise, leave: () => Promise.resolve() }
    // It is closed before it sends, so that it asks for nothing else.
    const sender = createSender({ memory, mailer } as unknown as Parameters<typeof createSender>[0])
    for (let n = 0; n < MAX_MAIL_NEWS + 10; n += 1)
      sender.received(name, { incarnation: 'i', committed: n, transactions: {} })
    const first = Array.from({ length: MAX_MAIL_NEWS }, (_, n) => n)
    expect(mail.news.map(({ committed }) => committed)).toEqual(first)
    sender.close()
    gate.resolve()
    await sender.idle()
  })
})

describe('a relay', () => {
  const openInbox = async (answer: (cursor: number) => readonly KeptMail[], isReplaced = false) => {
    const own = await loadOwnMailboxes({ store, committer, clock })
    await own.seen([{ peerId: 'r', multiaddrs: [] }])
    const ends: ('last' | undefined)[] = []
    const acknowledged: number[] = []
    const inbox = createInbox({
      clock,
      committer,
      log,
      sealer: createQuickSealer(1),
      mailboxes: {
        fetch: async (_relay, cursor, end) => {
          ends.push(end)
          return answer(cursor)
        },
        acknowledge: async (_relay, cursor) => void acknowledged.push(cursor),
      },
      own,
      keys: { pair: () => undefined },
      received: await loadReceivedQueue({ store, committer }),
      isReplaced: () => isReplaced,
    })
    return { inbox, ends, acknowledged }
  }
  const drain = async (answer: (cursor: number) => readonly KeptMail[]) => {
    const { inbox, ends } = await openInbox(answer)
    const isWhole = await inbox.drain('r', async () => [])
    return { isWhole, fetches: ends.length }
  }
  const garbage = (cursor: number): KeptMail => ({
    cursor,
    mail: {
      recipient: testSigner(1).name,
      lane: 'strangers',
      keyId: 'k',
      expires: 0,
      bytes: new Uint8Array([cursor, cursor >> 8]),
    },
  })

  it('is asked for what came last after an absence, also once a clock is right that was ahead', async () => {
    const { inbox, ends } = await openInbox(() => [])
    const lasts = async (): Promise<number> => {
      await inbox.drain('r', async () => [])
      return ends.filter((end) => end === 'last').length
    }
    expect([await lasts(), await lasts()]).toEqual([1, 1])
    now += 400 * 24 * 3_600_000
    expect(await lasts()).toBe(2)
    now -= 400 * 24 * 3_600_000
    expect(await lasts()).toBe(2)
    now += 11 * 60_000
    expect(await lasts()).toBe(3)
  })

  it('is told of nothing taken once another device has the account', async () => {
    const two = (cursor: number): readonly KeptMail[] => (cursor < 2 ? [garbage(cursor + 1)] : [])
    const replaced = await openInbox(two, true)
    expect(await replaced.inbox.drain('r', async () => [])).toBe(false)
    expect(replaced.acknowledged).toEqual([])
    const here = await openInbox(two)
    expect(await here.inbox.drain('r', async () => [])).toBe(true)
    expect(here.acknowledged).toEqual([2])
  })

  it('that sends garbage without end is left for later', async () => {
    const endless = (cursor: number): readonly KeptMail[] =>
      Array.from({ length: 100 }, (_, index) => garbage(cursor + 1 + index))
    const { isWhole, fetches } = await drain(endless)
    expect(isWhole).toBe(false)
    expect(fetches).toBeLessThan(MAX_USELESS_MAILS / 100 + 5)
  })

  it('that says the same without end is left too, and asked so often at most', async () => {
    // The first is for what came last.
    expect(await drain(() => [garbage(1)])).toMatchObject({ isWhole: true, fetches: 3 })
    const repeats = (cursor: number): readonly KeptMail[] => [{ ...garbage(1), cursor: cursor + 1 }]
    const { isWhole, fetches } = await drain(repeats)
    expect(isWhole).toBe(false)
    expect(fetches).toBeLessThanOrEqual(MAX_FETCHES + 2)
  })
})

describe('own mailboxes', () => {
  const load = () => loadOwnMailboxes({ store, committer, clock })
  const at = (...names: readonly string[]) => names.map((peerId) => ({ peerId, multiaddrs: [] }))

  it('are at most as many as a record names; one that is away makes place', async () => {
    const own = await load()
    await own.seen(at('a', 'b', 'c', 'd', 'e'))
    expect(own.addresses().map(({ peerId }) => peerId)).toEqual(['a', 'b', 'c', 'd'])
    now += 1
    await own.seen(at('a', 'b', 'd'))
    now += 1
    await own.seen(at('a', 'b', 'd', 'e'))
    expect((await load()).addresses().map(({ peerId }) => peerId)).toEqual(['a', 'b', 'd', 'e'])
  })

  it('tell since when all of them hold no old mail', async () => {
    const own = await load()
    await own.seen(at('a', 'b'))
    for (const relay of ['a', 'b']) await own.registered(relay)
    await own.drained('a', now)
    expect(own.cleanSince).toBe(0)
    await own.drained('b', now - 5)
    expect((await load()).cleanSince).toBe(now - 5)
  })
})
