import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { encodeBase64 } from '@plexus/core'
import {
  accountKey,
  accountRecords,
  deviceRecords,
  type AccountRecord,
  type SignedAccountRecord,
} from '@plexus/core/names'
import type { Store } from '@plexus/engine/ports'
import { generateTransportKey, peerIdOfKey } from '@plexus/p2p'
import { DEFAULT_MAIL_POLICY, openSqliteMailStore } from '@plexus/relay'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  eventually,
  jsonOf,
  newAccount,
  signedRequest,
  startNode,
  startRelayHere,
  temporaryFolder,
  type Account,
  type TestNode,
  type TestNodeInit,
  type TestRelay,
} from '../kit/p2p.ts'

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

/** Relays that know the first of them. */
const relays: TestRelay[] = []
/** What the last of them keeps of records. */
let kept: Store
const folders: { remove(): Promise<void> }[] = []
beforeAll(async () => {
  kept = await openMemoryStore(createMemoryDisk())
  for (let n = 0; n < 4; n += 1) await addRelay(undefined, n === 3 ? kept : undefined)
  await eventually(() => relays.every(({ relay }) => relay.stats().dhtServers >= 3), 'they know each other')
})
afterAll(async () => {
  for (const relay of relays) await relay.stop()
  for (const folder of folders) await folder.remove()
})

async function addRelay(peers = relays.slice(0, 1), records?: Store): Promise<TestRelay> {
  const folder = await temporaryFolder()
  folders.push(folder)
  const relay = await startRelayHere(folder.path, 0, {
    peers: peers.map(({ addresses: [first = ''] }) => first),
    ...(records && { records }),
  })
  relays.push(relay)
  return relay
}

const addressOf = (relay: TestRelay | undefined): string => relay?.addresses[0] ?? ''

async function nodeAt(relay: TestRelay | undefined, init: TestNodeInit = {}): Promise<TestNode> {
  const started = await startNode({ relays: [addressOf(relay)], ...init })
  cleanups.push(async () => started.node[Symbol.asyncDispose]())
  await eventually(() => started.node.status.relays[0]?.state === 'connected', 'at the relay')
  return started
}

function recordOf(
  account: Account,
  sequence: number,
  change: Partial<AccountRecord> = {},
): SignedAccountRecord {
  const head = { name: account.name, sequence, expires: Date.now() + 3_600_000 }
  const record = { ...head, mailboxes: [], devices: [], sealingKeys: [], ...change }
  return { record, signature: encodeBase64(account.sign(accountRecords.bytes(record))) }
}

/** How many relays have so many records. */
const holders = (count: number): number => relays.filter(({ relay }) => relay.stats().records >= count).length

describe('an account record', { timeout: 30_000 }, () => {
  it('is found from another relay, and with it the way to a node of which only the name is known', async () => {
    const [a, b] = [await nodeAt(relays[1]), await nodeAt(relays[2])]
    const mailbox = { peerId: relays[1]?.relay.peerId ?? '', multiaddrs: [addressOf(relays[1])] }
    const signed = recordOf(a.account, 1, { mailboxes: [mailbox], devices: [a.node.peerId] })
    await a.node.directory.publish(signed)
    await eventually(() => holders(1) >= 3, 'the DHT has it')
    expect(await b.node.directory.find(a.account.name)).toEqual(signed)
    // As brought by the DHT, and from where.
    const key = accountKey(a.account.name)
    await expect.poll(() => kept.get('records', key)).toMatch(/^f[0-9a-f]{3}\{/)
    const answer = await b.node.carrier.send(signedRequest(b.account, a.account.name, { n: 1 }), {
      timeoutMs: 10_000,
    })
    expect(jsonOf(answer)).toEqual({ by: a.account.name, got: { n: 1 } })
    expect(await b.node.directory.find(newAccount().name)).toBeUndefined()
  })

  it('is the newest, though a relay tells an old one, and never an older one again', async () => {
    const account = newAccount()
    const [old, newest] = [recordOf(account, 1), recordOf(account, 2)]
    // A relay that was away when the newest came.
    const behind = await addRelay([])
    const first = await nodeAt(behind, { account })
    await first.node.directory.publish(old)
    await first.node[Symbol.asyncDispose]()
    const before = holders(2)
    const owner = await nodeAt(relays[1], { account })
    await owner.node.directory.publish(newest)
    await eventually(() => holders(2) >= before + 2, 'the DHT has it')
    const reader = await startNode({ relays: [addressOf(behind), addressOf(relays[2])] })
    cleanups.push(async () => reader.node[Symbol.asyncDispose]())
    await eventually(() => reader.node.status.relays.every(({ state }) => state === 'connected'), 'at both')
    expect(await reader.node.directory.find(account.name)).toEqual(newest)
    // Who once saw the newest believes nobody that tells the old one, after a restart neither.
    await reader.node[Symbol.asyncDispose]()
    const kept = [...reader.saved]
    const memory = { load: () => Promise.resolve(kept), save: () => Promise.resolve() }
    const again = await nodeAt(behind, { memory })
    expect(await again.node.directory.find(account.name)).toEqual(newest)
    // A relay keeps what is newer, whoever brings the old one.
    await expect(owner.node.directory.publish(old)).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('is kept as that of a node with a mailbox, which comes from where a trusted proxy says', async () => {
    const folder = await temporaryFolder()
    const records = await openMemoryStore(createMemoryDisk())
    const store = openSqliteMailStore(join(folder.path, 'mail.db'), { maxBytes: 10_000_000 })
    const client = '192.0.2.7'
    const mail = { store, policy: DEFAULT_MAIL_POLICY }
    const relay = await startRelayHere(folder.path, 0, { records, mail, clientOf: () => client })
    cleanups.push(
      () => folder.remove(),
      async () => store[Symbol.asyncDispose](),
      () => relay.stop(),
    )
    const a = await nodeAt(relay)
    const tag = createHash('sha256').update(client).digest('hex').slice(0, 3)
    const isKeptAs = (place: string): Promise<void> =>
      expect
        .poll(async () => (await records.get('records', accountKey(a.account.name)))?.split('{', 1))
        .toEqual([`${place}${tag}`])
    const record = recordOf(a.account, 1, { devices: [a.node.peerId] })
    await a.node.directory.publish(record)
    await isKeptAs('o')
    await a.node.mailboxes.register(relay.relay.peerId, {
      record,
      accessKeyHash: encodeBase64(new Uint8Array(32)),
    })
    await isKeptAs('m')
  })

  it('of another name, or with another signature, is kept by no relay', async () => {
    const a = await nodeAt(relays[0])
    const other = recordOf(newAccount(), 1)
    const forged = { ...recordOf(a.account, 1), signature: other.signature }
    for (const record of [other, forged])
      await expect(a.node.directory.publish(record)).rejects.toMatchObject({ code: 'unreachable' })
    expect(await a.node.directory.find(a.account.name)).toBeUndefined()
  })
})

describe('a start', { timeout: 30_000 }, () => {
  it('works when all bootstrap relays but one are dead', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => generateTransportKey()))
    const addresses = keys.map((key, n) => `/ip4/127.0.0.1/tcp/${n + 1}/ws/p2p/${peerIdOfKey(key)}`)
    const b = await nodeAt(relays[2])
    const a = await startNode({ relays: [...addresses, addressOf(relays[2])] })
    cleanups.push(async () => a.node[Symbol.asyncDispose]())
    const answer = await a.node.carrier.send(signedRequest(a.account, b.account.name), { timeoutMs: 10_000 })
    expect(answer.status).toBe(200)
  })

  it('works with no relay at all while a peer from before lives', async () => {
    const [key, account] = [await generateTransportKey(), newAccount()]
    const old = await startNode({ platform: { listen: ['/ip4/127.0.0.1/tcp/0'] } })
    cleanups.push(async () => old.node[Symbol.asyncDispose]())
    const first = await startNode({ account, transportKey: key })
    old.node.want([account.name])
    first.node.want([old.account.name])
    await first.node.directory.learn({
      name: old.account.name,
      multiaddrs: await old.node.directory.own(),
    })
    await eventually(() => first.node.status.peers.length > 0, 'they have met')
    await first.node[Symbol.asyncDispose]()
    const kept = [...first.saved]
    const again = await startNode({
      account,
      transportKey: key,
      relays: [1, 2].map((port) => `/ip4/127.0.0.1/tcp/${port}/ws/p2p/${peerIdOfKey(key)}`),
      memory: { load: () => Promise.resolve(kept), save: () => Promise.resolve() },
    })
    cleanups.push(async () => again.node[Symbol.asyncDispose]())
    again.node.want([old.account.name])
    await eventually(() => again.node.status.state === 'noRelay', 'they meet again')
    const answer = await again.node.carrier.send(signedRequest(account, old.account.name), {
      timeoutMs: 10_000,
    })
    expect(answer.status).toBe(200)
  })
})

describe('a device record', { timeout: 30_000 }, () => {
  it('leads to a node that is at none of the relays that keep its mail', async () => {
    const [away, reader] = [await nodeAt(relays[3]), await nodeAt(relays[2])]
    const { name } = away.account
    const mailbox = { peerId: relays[1]?.relay.peerId ?? '', multiaddrs: [addressOf(relays[1])] }
    const { peerId } = away.node
    await away.node.directory.publish(recordOf(away.account, 1, { mailboxes: [mailbox], devices: [peerId] }))
    const record = {
      name,
      sequence: 1,
      expires: Date.now() + 3_600_000,
      peerId,
      multiaddrs: [`${addressOf(relays[3])}/p2p-circuit/p2p/${peerId}`],
    }
    const signature = encodeBase64(away.account.sign(deviceRecords.bytes(record)))
    await away.node.directory.publish({ record, signature })
    const answer = await reader.node.carrier.send(signedRequest(reader.account, name), { timeoutMs: 20_000 })
    expect(answer.status).toBe(200)
  })
})
