/** What others can make a node keep and do by mail. */
import { encodeBase64, type ServerName } from '@plexus/core'
import { accountRecords, type SignedAccountRecord } from '@plexus/core/names'
import type { Clock, KeptMail, Store } from '@plexus/engine/ports'
import {
  contactContent,
  createCommitter,
  createInbox,
  loadContacts,
  loadOwnMailboxes,
  loadReceivedQueue,
  MAX_CONTACTS,
  MAX_FETCHES,
  MAX_TOLD_MAILS,
  MAX_UNTOLD_OF_ORIGIN,
  MAX_USELESS_MAILS,
  SEEK_INTERVAL_MS,
  type Committer,
} from '@plexus/engine/testing'
import { createMemoryStore } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import { createQuickSealer } from '../kit/mail-relay.ts'

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
  let found: SignedAccountRecord | undefined
  const load = () =>
    loadContacts({
      store,
      committer,
      clock,
      sharesRoom: (name) => sharing.has(name),
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

  it('are looked up once in a while, and believed for themselves only', async () => {
    const contacts = await load()
    const { name } = testSigner(1)
    found = await signed(2)
    expect(await contacts.seek(name)).toBeUndefined()
    found = await signed(1)
    expect(await contacts.seek(name)).toBeUndefined()
    expect(asked).toBe(1)
    now += SEEK_INTERVAL_MS
    found = await signed(1)
    expect(await contacts.seek(name)).toMatchObject({ signed: found })
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

describe('a relay', () => {
  const drain = async (answer: (cursor: number) => readonly KeptMail[]) => {
    const own = await loadOwnMailboxes({ store, committer, clock })
    await own.seen([{ peerId: 'r', multiaddrs: [] }])
    let fetches = 0
    const inbox = createInbox({
      committer,
      log,
      sealer: createQuickSealer(1),
      mailboxes: {
        fetch: async (_relay, cursor) => {
          fetches += 1
          return answer(cursor)
        },
        acknowledge: async () => undefined,
      },
      own,
      keys: { pair: () => undefined },
      received: await loadReceivedQueue({ store, committer }),
    })
    const isWhole = await inbox.drain('r', async () => [])
    return { isWhole, fetches }
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

  it('that sends garbage without end is left for later', async () => {
    const endless = (cursor: number): readonly KeptMail[] =>
      Array.from({ length: 100 }, (_, index) => garbage(cursor + 1 + index))
    const { isWhole, fetches } = await drain(endless)
    expect(isWhole).toBe(false)
    expect(fetches).toBeLessThan(MAX_USELESS_MAILS / 100 + 5)
  })

  it('that says the same without end is left too, and asked so often at most', async () => {
    expect(await drain(() => [garbage(1)])).toMatchObject({ isWhole: true, fetches: 2 })
    const repeats = (cursor: number): readonly KeptMail[] => [{ ...garbage(1), cursor: cursor + 1 }]
    const { isWhole, fetches } = await drain(repeats)
    expect(isWhole).toBe(false)
    expect(fetches).toBeLessThanOrEqual(MAX_FETCHES + 1)
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
