import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { encodeBase64, type UserId } from '@plexus/core'
import {
  accountRecords,
  shelfRecords,
  type AccountRecord,
  type MailboxAddress,
  type ShelfRecord,
  type SignedAccountRecord,
} from '@plexus/core/names'
import type { KeptMail, MailLane, SealedMail } from '@plexus/engine/ports'
import { generateTransportKey, peerIdOfKey } from '@plexus/p2p'
import { DEFAULT_MAIL_POLICY, openSqliteMailStore, type MailPolicy, type MailStore } from '@plexus/relay'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  eventually,
  newAccount,
  startNode,
  startRelayHere,
  temporaryFolder,
  type Account,
  type TestNode,
  type TestRelay,
} from '../kit/p2p.ts'
import { startMailRelay } from '../kit/mail-relay-process.ts'

const DAY_MS = 24 * 3_600_000
const ACCESS = { key: encodeBase64(new Uint8Array(32).fill(7)), hash: '' }
ACCESS.hash = encodeBase64(createHash('sha256').update(new Uint8Array(32).fill(7)).digest())
/** Throw-away nodes that a node has at once. */
const MAX_DEPOSITORS = 16
/** Few bits: what they cost is not tested here. */
const POLICY: MailPolicy = { ...DEFAULT_MAIL_POLICY, proofBits: 8 }

const cleanups: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

type MailRelay = TestRelay & { readonly address: MailboxAddress; readonly store: MailStore }

async function newRelay(change: Partial<MailPolicy> = {}): Promise<MailRelay> {
  const folder = await temporaryFolder()
  cleanups.push(() => folder.remove())
  const store = openSqliteMailStore(join(folder.path, 'mail.db'), { maxBytes: 50_000_000 })
  cleanups.push(async () => store[Symbol.asyncDispose]())
  const relay = await startRelayHere(folder.path, 0, { mail: { store, policy: { ...POLICY, ...change } } })
  cleanups.push(() => relay.stop())
  const multiaddrs = relay.addresses.slice(0, 1)
  return Object.assign(relay, { store, address: { peerId: relay.relay.peerId, multiaddrs } })
}

function recordOf(account: Account, devices: readonly string[], change: Partial<AccountRecord> = {}) {
  const now = Date.now()
  const record: AccountRecord = {
    name: account.name,
    sequence: 1,
    expires: now + 60 * DAY_MS,
    mailboxes: [],
    devices,
    sealingKeys: [{ id: 'k1', publicKey: ACCESS.key, expires: now + 30 * DAY_MS }],
    ...change,
  }
  const signature = encodeBase64(account.sign(accountRecords.bytes(record)))
  return { record, signature } satisfies SignedAccountRecord
}

type Owner = TestNode & { readonly heard: () => number }

/** A node at the relay, its mailbox registered unless `record` is null. */
async function ownerAt(
  relay: Pick<MailRelay, 'address'>,
  init: {
    account?: Account
    transportKey?: Uint8Array
    mailTokens?: Readonly<Record<string, string>>
    record?: SignedAccountRecord | null
  } = {},
): Promise<Owner> {
  const account = init.account ?? newAccount()
  const transportKey = init.transportKey ?? (await generateTransportKey())
  const { mailTokens = {} } = init
  const started = await startNode({ relays: relay.address.multiaddrs, account, transportKey, mailTokens })
  cleanups.push(async () => started.node[Symbol.asyncDispose]())
  const heard = (): number => started.events.filter(({ kind }) => kind === 'mail').length
  await eventually(() => heard() > 0, 'mailboxes connected')
  if (init.record !== null) {
    const record = init.record ?? recordOf(account, [started.node.peerId])
    await started.node.mailboxes.register(relay.address.peerId, { record, accessKeyHash: ACCESS.hash })
  }
  return { ...started, heard }
}

const mailFor = ({ account }: { account: Account }, text: string, lane: MailLane = 'keys'): SealedMail => ({
  recipient: account.name,
  lane,
  keyId: 'k1',
  expires: Date.now() + DAY_MS,
  bytes: new TextEncoder().encode(text),
})

const texts = (mails: readonly KeptMail[]): string[] =>
  mails.map(({ mail }) => new TextDecoder().decode(mail.bytes))

let relay: MailRelay
let sender: TestNode
beforeAll(async () => {
  relay = await newRelay()
  // It knows no relay of its own.
  sender = await startNode()
  cleanups.push(async () => sender.node[Symbol.asyncDispose]())
})

const leave = (mail: SealedMail, key = mail.lane === 'strangers' ? undefined : ACCESS.key): Promise<number> =>
  sender.node.mailboxes.deposit(relay.address, mail, key)

describe('mailboxes at a relay', { timeout: 60_000 }, () => {
  it('show the keys of its owner while it is away', async () => {
    const owner = await ownerAt(relay)
    const { name } = owner.account
    const user = `@ada:${name}` as UserId
    const list = { user_id: user, stream_id: 1, devices: [{ device_id: 'A', keys: {} }] }
    const record: ShelfRecord = { name, sequence: 1, expires: Date.now() + DAY_MS, user, list }
    const shelf = { record, signature: encodeBase64(owner.account.sign(shelfRecords.bytes(record))) }
    const keys = { A: { add: [{ 'signed_curve25519:1': { key: '1' } }] } }
    const { mailboxes } = owner.node
    expect(await mailboxes.stock(relay.address.peerId, shelf, keys)).toEqual({
      A: { left: 1, fallbackUsed: false },
    })
    await owner.node[Symbol.asyncDispose]()
    const asked = sender.node.mailboxes.ask(relay.address, name, { user, devices: ['A'] })
    expect(await asked).toEqual({ shelf, keys: { A: keys.A.add[0] } })
    const nobody = newAccount().name
    await expect(
      sender.node.mailboxes.ask(relay.address, nobody, { user: `@ada:${nobody}` as UserId, devices: [] }),
    ).rejects.toMatchObject({ name: 'MailError', code: 'unknown-recipient' })
  })

  it('keep mail while its owner is away, once, until every device has it', async () => {
    const account = newAccount()
    const keys = [await generateTransportKey(), await generateTransportKey()] as const
    const record = recordOf(account, keys.map(peerIdOfKey))
    const first = await ownerAt(relay, { account, transportKey: keys[0], record })
    expect(await first.node.mailboxes.relays()).toEqual([relay.address])
    await first.node[Symbol.asyncDispose]()

    const large = { ...mailFor(first, ''), bytes: new Uint8Array(randomBytes(1_000_000)) }
    for (const mail of [mailFor(first, 'a'), large, mailFor(first, 'a'), mailFor(first, 'b', 'events')])
      expect(await leave(mail)).toBe(POLICY.retentionMs)

    const back = await ownerAt(relay, { account, transportKey: keys[0], record })
    const at = relay.address.peerId
    const begin = await back.node.mailboxes.fetch(at, 0)
    expect(begin.map(({ mail }) => mail.bytes.length)).toEqual([1, 1_000_000, 1])
    expect(begin[1]?.mail).toEqual({ ...large, recipient: account.name })
    const cursor = begin.at(-1)?.cursor ?? 0
    expect(await back.node.mailboxes.fetch(at, cursor)).toEqual([])
    await back.node.mailboxes.acknowledge(at, cursor)

    const second = await ownerAt(relay, { account, transportKey: keys[1], record })
    expect(await second.node.mailboxes.fetch(at, 0)).toHaveLength(3)
    await second.node.mailboxes.acknowledge(at, cursor)
    expect(await second.node.mailboxes.fetch(at, 0)).toEqual([])
    expect(await relay.relay.mailStats()).toMatchObject({ mails: 0, bytes: 0, kept: 3, known: 1 })
  })

  it('are announced to a connected owner, also one that did not fetch at once', async () => {
    const owner = await ownerAt(relay)
    const before = owner.heard()
    await leave(mailFor(owner, 'a'))
    await eventually(() => owner.heard() > before, 'told of mail')
    await leave(mailFor(owner, 'b'))
    expect(texts(await owner.node.mailboxes.fetch(relay.address.peerId, 0))).toEqual(['a', 'b'])
  })

  it('meet a node that leaves mail under another identity for each recipient', async () => {
    const [one, two] = [await ownerAt(relay), await ownerAt(relay)]
    let opened = 0
    const count = (): void => void (opened += 1)
    relay.server.on('connection', count)
    await Promise.all([mailFor(one, 'a'), mailFor(one, 'b'), mailFor(two, 'a')].map((mail) => leave(mail)))
    relay.server.off('connection', count)
    expect(opened).toBe(2)
  })

  it('see so many identities of one node at once, and the rest of its mail after that', async () => {
    // At another relay identities of before would be counted, until they were idle for so long that they end.
    const own = await newRelay()
    let most = 0
    const mails = Array.from({ length: 20 }, () => mailFor({ account: newAccount() }, 'a'))
    const answers = mails.map(async (mail) => {
      const deposited = sender.node.mailboxes.deposit(own.address, mail, ACCESS.key)
      await expect(deposited).rejects.toMatchObject({ code: 'unknown-recipient' })
      most = Math.max(most, own.relay.stats().connections)
    })
    await Promise.all(answers)
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(MAX_DEPOSITORS)
  })

  it('are not looked for in a private network that somebody else names', async () => {
    const { node } = await startNode({ lan: false })
    cleanups.push(async () => node[Symbol.asyncDispose]())
    const mail = mailFor({ account: newAccount() }, 'a')
    const refused = node.mailboxes.deposit(relay.address, mail, ACCESS.key)
    await expect(refused).rejects.toMatchObject({ name: 'CarrierError', code: 'unreachable' })
  })

  it('hold each lane to its quota, and say so', async () => {
    const quota = { mails: 1, bytes: 1_000 }
    const small = await newRelay({ quotas: { keys: quota, events: quota, strangers: quota } })
    const owner = await ownerAt(small)
    const put = (mail: SealedMail): Promise<number> =>
      sender.node.mailboxes.deposit(small.address, mail, mail.lane === 'strangers' ? undefined : ACCESS.key)
    for (const lane of ['keys', 'events', 'strangers'] as const) {
      await put(mailFor(owner, `${lane} 1`, lane))
      await expect(put(mailFor(owner, `${lane} 2`, lane))).rejects.toMatchObject({ code: 'quota' })
    }
    expect(await owner.node.mailboxes.fetch(small.address.peerId, 0)).toHaveLength(3)
  })

  it('refuse a wrong access key, an old sealing key, a name unknown, and what expired', async () => {
    const owner = await ownerAt(relay)
    const mail = mailFor(owner, 'a')
    const wrong = encodeBase64(new Uint8Array(32))
    await expect(leave(mail, wrong)).rejects.toMatchObject({ code: 'bad-access' })
    await expect(leave({ ...mail, keyId: 'k0' })).rejects.toMatchObject({
      name: 'MailError',
      code: 'old-key',
      record: { record: { name: owner.account.name } },
    })
    const nobody = { ...mail, recipient: newAccount().name }
    await expect(leave(nobody)).rejects.toMatchObject({ code: 'unknown-recipient' })
    await expect(leave({ ...mail, expires: 1 })).rejects.toMatchObject({ code: 'nonsense' })
    const big = { ...mailFor(owner, '', 'strangers'), bytes: new Uint8Array(70_000) }
    await expect(leave(big)).rejects.toMatchObject({ code: 'too-large' })
    expect(await owner.node.mailboxes.fetch(relay.address.peerId, 0)).toEqual([])
  })

  it('remove what expired', async () => {
    const owner = await ownerAt(relay)
    await leave(mailFor(owner, 'a'))
    expect(await owner.node.mailboxes.fetch(relay.address.peerId, 0)).toHaveLength(1)
    await relay.store.expire(Date.now() + 2 * DAY_MS)
    expect(await owner.node.mailboxes.fetch(relay.address.peerId, 0)).toEqual([])
  })
})

describe('a relay that is killed', { timeout: 60_000 }, () => {
  it('right after its answers has the mail', async () => {
    const folder = await temporaryFolder()
    cleanups.push(() => folder.remove())
    await using killed = await startMailRelay(folder.path)
    const owner = await ownerAt(killed)
    const taken: string[] = []
    const put = async (n: number): Promise<void> => {
      await sender.node.mailboxes.deposit(killed.address, mailFor(owner, `${n}`), ACCESS.key)
      taken.push(`${n}`)
      if (taken.length === 20) await killed.kill()
    }
    await Promise.allSettled(Array.from({ length: 60 }, (_, n) => put(n)))
    expect(await killed.kill()).toBe('SIGKILL')
    await using store = openSqliteMailStore(join(folder.path, 'mail.db'), { maxBytes: 50_000_000 })
    const kept = texts(await store.fetch(owner.account.name, 0, { mails: 100, bytes: 1_000_000 }))
    expect(taken.length).toBeGreaterThanOrEqual(20)
    expect(kept).toEqual(expect.arrayContaining(taken))
  })
})

describe('the owner of a mailbox', { timeout: 60_000 }, () => {
  it('is who has the name: another peer may neither register, nor fetch, nor acknowledge', async () => {
    const owner = await ownerAt(relay)
    const other = await ownerAt(relay, { record: null })
    const { mailboxes } = other.node
    const at = relay.address.peerId
    const record = recordOf(owner.account, [other.node.peerId, owner.node.peerId])
    const registration = { record, accessKeyHash: ACCESS.hash }
    await expect(mailboxes.register(at, registration)).rejects.toMatchObject({ code: 'not-allowed' })
    await expect(mailboxes.fetch(at, 0)).rejects.toMatchObject({ code: 'not-allowed' })
    await expect(mailboxes.acknowledge(at, 9)).rejects.toMatchObject({ code: 'not-allowed' })
  })

  it('shows the token that a relay asks for', async () => {
    const token = 'a token of some length'
    const closed = await newRelay({ registration: { mode: 'token', token } })
    const at = closed.address.peerId
    const guest = await ownerAt(closed, { record: null })
    const record = recordOf(guest.account, [guest.node.peerId])
    const refused = guest.node.mailboxes.register(at, { record, accessKeyHash: ACCESS.hash })
    await expect(refused).rejects.toMatchObject({ code: 'not-allowed' })
    const member = await ownerAt(closed, { mailTokens: { [at]: token } })
    expect(await member.node.mailboxes.fetch(at, 0)).toEqual([])
  })

  it('is no more a device that the newest record leaves out', async () => {
    const account = newAccount()
    const keys = [await generateTransportKey(), await generateTransportKey()] as const
    const ids = keys.map(peerIdOfKey)
    const lost = await ownerAt(relay, { account, transportKey: keys[0], record: recordOf(account, ids) })
    const newest = recordOf(account, ids.slice(1), { sequence: 2 })
    await ownerAt(relay, { account, transportKey: keys[1], record: newest })
    const at = relay.address.peerId
    const again = { record: recordOf(account, ids), accessKeyHash: ACCESS.hash }
    await eventually(() => lost.heard() > 1, 'its stream was closed and opened anew', 30_000)
    const refusal = { code: 'old-record', record: { record: { sequence: 2 } } }
    await expect(lost.node.mailboxes.fetch(at, 0)).rejects.toMatchObject(refusal)
    await expect(lost.node.mailboxes.register(at, again)).rejects.toMatchObject(refusal)
    const stolen = { record: newest, accessKeyHash: ACCESS.hash }
    await expect(lost.node.mailboxes.register(at, stolen)).rejects.toMatchObject({ code: 'not-allowed' })
  })
})
