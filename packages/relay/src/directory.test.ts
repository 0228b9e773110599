import { generateKeyPairSync, sign } from 'node:crypto'
import { encodeBase64, type ServerName } from '@plexus/core'
import { accountKey, accountRecords, certificateBytes, nameOfKey, type Certificate } from '@plexus/core/names'
import {
  createFrameChannel,
  encodeNames,
  encodeKeyedRecord,
  encodeKeys,
  encodeRegister,
  MAX_DEVICES_PER_NAME,
  MAX_NAMES_PER_FRAME,
  MAX_WATCHED_NAMES,
  RelayFrame as K,
  RelayRefusal,
  type Frame,
  type FrameChannel,
  type Published,
} from '@plexus/p2p/wire'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createClock, createEnd } from './testing/streams.ts'
import { DEFAULT_MAIL_POLICY } from './mail/policy.ts'
import { createSources } from './mail/sources.ts'
import { createRelayDirectory, type RelayDirectory } from './directory.ts'
import {
  FRAME_BURST,
  MAILS_PER_NAME_AT_ONCE,
  NAME_BURST,
  RECORD_BURST,
  REGISTER_TIMEOUT_MS,
  REGISTRATION_BURST,
} from './limits.ts'

const NOW = Date.UTC(2026, 0, 1)
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

type Account = {
  readonly name: ServerName
  certify(peerId: string, change?: Partial<Certificate>): Uint8Array
  record(sequence: number): Published
}

function createAccount(): Account {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const name = nameOfKey(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)))
  return {
    name,
    certify(peerId, change = {}) {
      const certificate = { name, peerId, notBefore: NOW, expires: NOW + 3_600_000, ...change }
      const signature = encodeBase64(new Uint8Array(sign(null, certificateBytes(certificate), privateKey)))
      return encodeRegister({ certificate, signature })
    },
    record(sequence) {
      const head = { name, sequence, expires: NOW + 3_600_000 }
      const record = { ...head, mailboxes: [], devices: [], sealingKeys: [] }
      const signature = encodeBase64(new Uint8Array(sign(null, accountRecords.bytes(record), privateKey)))
      return { key: accountKey(name), signed: { record, signature } }
    },
  }
}

let peers = 0
/** Peer ids in the right shape. */
function newPeerId(): string {
  peers += 1
  return `12D3KooW${String(peers).padStart(44, '1').replaceAll('0', 'z')}`
}

type Node = {
  readonly channel: FrameChannel
  readonly got: Frame[]
  readonly reasons: string[]
  say(kind: number, id?: number, body?: Uint8Array): Promise<void>
}

const HERE = '/ip4/192.0.2.1/tcp/4001'

function join(directory: RelayDirectory, peerId: string, address = HERE): Node {
  const [relayEnd, nodeEnd] = [createEnd(), createEnd()]
  relayEnd.other = nodeEnd
  nodeEnd.other = relayEnd
  const got: Frame[] = []
  const reasons: string[] = []
  const channel = createFrameChannel(nodeEnd, {
    frame: (frame) => {
      if (frame.kind !== K.ping) got.push(frame)
    },
    writable: () => undefined,
    closed: (reason) => reasons.push(reason),
  })
  directory.accept(relayEnd, { peerId, address })
  return {
    channel,
    got,
    reasons,
    async say(kind, id = 1, body = new Uint8Array(0)) {
      channel.send(kind, id, body)
      await settle()
    },
  }
}

function start(maxWatches?: number) {
  const clock = createClock(NOW)
  const kept = new Map<string, Published>()
  const published: Published[] = []
  const records = {
    get: (key: string) => kept.get(key),
    put(record: Published) {
      if (kept.has(record.key)) return 'older' as const
      kept.set(record.key, record)
      return 'kept' as const
    },
    isOwn: (name: ServerName) => kept.has(accountKey(name)),
  }
  const sources = createSources(clock, DEFAULT_MAIL_POLICY)
  const directory = createRelayDirectory(
    { clock, log: { log: () => undefined }, records, sources, published: (record) => published.push(record) },
    maxWatches,
  )
  const enter = async (
    account = createAccount(),
    peerId = newPeerId(),
    address = HERE,
  ): Promise<Node & { account: Account; peerId: string }> => {
    const node = join(directory, peerId, address)
    await node.say(K.register, 1, account.certify(peerId))
    return { ...node, account, peerId }
  }
  return { clock, directory, enter, published }
}

const kinds = ({ got }: Node): number[] => got.map(({ kind }) => kind)
const nameIn = ({ body }: Frame): unknown =>
  (JSON.parse(new TextDecoder().decode(body)) as { name: string }).name

describe('the relay directory', () => {
  it('tells a registered node which of the names it asks for are here', async () => {
    const { enter, directory } = start()
    const [a, b, c] = [await enter(), await enter(), await enter()]
    await a.say(K.lookup, 7, encodeNames([b.account.name, createAccount().name]))
    expect(a.got.slice(1).map(({ kind, id }) => [kind, id])).toEqual([
      [K.entry, 7],
      [K.done, 7],
    ])
    expect(a.got.slice(1, 2).map(nameIn)).toEqual([b.account.name])
    expect(directory.stats()).toEqual({ sessions: 3, names: 3, watched: 0 })
    c.channel.abort('gone')
    await settle()
    expect(directory.stats().names).toBe(2)
  })

  it('tells of a watched name when it appears, and again after it left', async () => {
    const { enter } = start()
    const account = createAccount()
    const a = await enter()
    await a.say(K.watch, 2, encodeNames([account.name]))
    expect(kinds(a)).toEqual([K.done, K.done])
    const b = await enter(account)
    await settle()
    expect(a.got.slice(2).map(({ kind, id }) => [kind, id])).toEqual([[K.entry, 0]])
    b.channel.abort('gone')
    await settle()
    await enter(account)
    await settle()
    expect(a.got.slice(3).map(nameIn)).toEqual([account.name])
    await a.say(K.unwatch, 3, encodeNames([account.name]))
    await enter(account)
    await settle()
    expect(a.got).toHaveLength(4)
  })

  it('is told nothing by and tells nothing to who has not registered', async () => {
    const { directory, enter } = start()
    const b = await enter()
    for (const kind of [K.lookup, K.watch, K.unwatch]) {
      const stranger = join(directory, newPeerId())
      await stranger.say(kind, 1, encodeNames([b.account.name]))
      expect(stranger.got).toEqual([])
      expect(stranger.reasons).toHaveLength(1)
    }
  })

  it('does not wait for a certificate for ever', async () => {
    const { directory, clock } = start()
    const silent = join(directory, newPeerId())
    clock.advance(REGISTER_TIMEOUT_MS)
    await settle()
    expect(silent.reasons).toHaveLength(1)
    expect(directory.stats().sessions).toBe(0)
  })

  it.each([
    ['for another peer id', (account: Account) => account.certify(newPeerId()), RelayRefusal.badCertificate],
    [
      'that expired',
      (account: Account, peerId: string) => account.certify(peerId, { notBefore: 1, expires: NOW }),
      RelayRefusal.badCertificate,
    ],
    [
      'for a name that did not sign',
      (account: Account, peerId: string) => account.certify(peerId, { name: createAccount().name }),
      RelayRefusal.badCertificate,
    ],
    ['that is none', () => Uint8Array.of(1, 2), RelayRefusal.nonsense],
  ])('refuses a certificate %s', async (_what, body, code) => {
    const { directory } = start()
    const peerId = newPeerId()
    const node = join(directory, peerId)
    await node.say(K.register, 1, body(createAccount(), peerId))
    expect(node.got).toEqual([{ kind: K.refuse, id: 1, body: Uint8Array.of(code) }])
    expect(directory.stats()).toEqual({ sessions: 0, names: 0, watched: 0 })
  })

  it('lets a newer stream of a node replace the older one', async () => {
    const { enter, directory } = start()
    const account = createAccount()
    const peerId = newPeerId()
    const older = await enter(account, peerId)
    await enter(account, peerId)
    expect(older.got.at(-1)).toEqual({ kind: K.refuse, id: 0, body: Uint8Array.of(RelayRefusal.replaced) })
    expect(older.reasons).toHaveLength(1)
    expect(directory.stats()).toEqual({ sessions: 1, names: 1, watched: 0 })
  })

  it('keeps the name of a stream, but takes a renewed certificate', async () => {
    const { enter } = start()
    const a = await enter()
    await a.say(K.register, 2, a.account.certify(a.peerId, { expires: NOW + 7_200_000 }))
    expect(kinds(a)).toEqual([K.done, K.done])
    await a.say(K.register, 3, createAccount().certify(a.peerId))
    expect(a.got.at(-1)).toMatchObject({ kind: K.refuse })
    expect(a.reasons).toHaveLength(1)
  })

  it('drops who lets its certificate expire, and who is silent', async () => {
    const { enter, clock, directory } = start()
    const a = await enter()
    for (let minutes = 0; minutes < 61; minutes += 1) {
      clock.advance(15_000)
      await a.say(K.ping)
      clock.advance(45_000)
      await a.say(K.ping)
    }
    expect(a.reasons).toHaveLength(1)
    await enter()
    for (let turn = 0; turn < 10; turn += 1) clock.advance(15_000)
    expect(directory.stats().sessions).toBe(0)
  })
})

describe('bounds of the relay directory', () => {
  it('holds so many devices of one name', async () => {
    const { enter, directory } = start()
    const account = createAccount()
    for (let n = 0; n < MAX_DEVICES_PER_NAME; n += 1) await enter(account)
    const one = await enter(account)
    expect(one.got).toEqual([{ kind: K.refuse, id: 1, body: Uint8Array.of(RelayRefusal.tooMany) }])
    expect(directory.stats().sessions).toBe(MAX_DEVICES_PER_NAME)
  })

  it('holds so many watched names of one node', async () => {
    const { enter, directory } = start()
    const a = await enter()
    const many = Array.from({ length: MAX_WATCHED_NAMES }, (_, n) => `n${n}.example` as ServerName)
    for (let offset = 0; offset < many.length; offset += MAX_NAMES_PER_FRAME)
      await a.say(K.watch, 2, encodeNames(many.slice(offset, offset + MAX_NAMES_PER_FRAME)))
    expect(directory.stats().watched).toBe(MAX_WATCHED_NAMES)
    await a.say(K.watch, 3, encodeNames([createAccount().name]))
    expect(a.got.at(-1)).toEqual({ kind: K.refuse, id: 3, body: Uint8Array.of(RelayRefusal.tooMany) })
    a.channel.abort('gone')
    await settle()
    expect(directory.stats().watched).toBe(0)
  })

  it('holds so many watched names of all nodes together', async () => {
    const { enter } = start(3)
    const [a, b] = [await enter(), await enter()]
    const [one, two] = [createAccount().name, createAccount().name]
    await a.say(K.watch, 2, encodeNames([one, two, two]))
    await b.say(K.watch, 2, encodeNames([one, two]))
    expect(b.got.at(-1)).toEqual({ kind: K.refuse, id: 2, body: Uint8Array.of(RelayRefusal.tooMany) })
    await a.say(K.unwatch, 3, encodeNames([two, two]))
    await b.say(K.watch, 3, encodeNames([one, two]))
    expect(b.got.at(-1)).toMatchObject({ kind: K.done, id: 3 })
    a.channel.abort('gone')
    await settle()
    await b.say(K.watch, 4, encodeNames([createAccount().name]))
    expect(b.got.at(-1)).toMatchObject({ kind: K.done, id: 4 })
  })

  it('answers so many names at once', async () => {
    const { enter, clock } = start()
    const a = await enter()
    const names = encodeNames(
      Array.from({ length: MAX_NAMES_PER_FRAME }, (_, n) => `n${n}.example` as ServerName),
    )
    const turns = Math.floor(NAME_BURST / MAX_NAMES_PER_FRAME)
    for (let turn = 0; turn < turns; turn += 1) await a.say(K.lookup, 2, names)
    expect(kinds(a).every((kind) => kind === K.done)).toBe(true)
    await a.say(K.lookup, 3, names)
    expect(a.got.at(-1)).toEqual({ kind: K.refuse, id: 3, body: Uint8Array.of(RelayRefusal.tooFast) })
    clock.advance(10_000)
    await a.say(K.lookup, 4, names)
    expect(kinds(a).at(-1)).toBe(K.done)
  })

  it('checks so many certificates of one node', async () => {
    const { enter } = start()
    const a = await enter()
    for (let turn = 1; turn < REGISTRATION_BURST; turn += 1)
      await a.say(K.register, 2, a.account.certify(a.peerId))
    expect(a.reasons).toEqual([])
    await a.say(K.register, 3, a.account.certify(a.peerId))
    expect(a.got.at(-1)).toEqual({ kind: K.refuse, id: 3, body: Uint8Array.of(RelayRefusal.tooFast) })
  })

  it('keeps, serves and passes on what a node publishes of itself', async () => {
    const { enter, published } = start()
    const [a, b] = [await enter(), await enter()]
    const record = a.account.record(1)
    await b.say(K.publish, 2, encodeKeyedRecord(record))
    expect(b.got.at(-1)?.body).toEqual(Uint8Array.of(RelayRefusal.nonsense))
    await a.say(K.publish, 2, encodeKeyedRecord(record))
    expect(published).toEqual([record])
    await a.say(K.publish, 3, encodeKeyedRecord(record))
    expect(a.got.at(-1)?.body).toEqual(Uint8Array.of(RelayRefusal.older))
    const keys = [record.key, record.key, accountKey(b.account.name)]
    await b.say(K.find, 4, encodeKeys(keys))
    expect(b.got.slice(2)).toEqual([
      { kind: K.record, id: 4, body: encodeKeyedRecord(record) },
      { kind: K.done, id: 4, body: new Uint8Array(0) },
    ])
  })

  it('takes so many records of one node at once', async () => {
    const { enter, clock } = start()
    const a = await enter()
    for (let turn = 0; turn < RECORD_BURST; turn += 1) await a.say(K.publish, turn)
    await a.say(K.publish, 99)
    expect(a.got.at(-1)?.body).toEqual(Uint8Array.of(RelayRefusal.tooFast))
    clock.advance(4_000)
    await a.say(K.publish, 100)
    expect(a.got.at(-1)?.body).toEqual(Uint8Array.of(RelayRefusal.nonsense))
  })

  it('takes the first records of so many names from one address, and those of known names and of others go on', async () => {
    const { enter, published } = start()
    const known = await enter()
    const say = async (node: Awaited<ReturnType<typeof enter>>, sequence: number): Promise<unknown> => {
      await node.say(K.publish, 9, encodeKeyedRecord(node.account.record(sequence)))
      const { kind = 0, body = new Uint8Array(0) } = node.got.findLast(({ id }) => id === 9) ?? {}
      return kind === K.refuse ? body[0] : kind
    }
    expect(await say(known, 1)).toBe(K.done)
    const answers = new Set<unknown>()
    const burst = DEFAULT_MAIL_POLICY.depositBurst / MAILS_PER_NAME_AT_ONCE
    for (let n = 1; n < burst; n += 1) answers.add(await say(await enter(), 1))
    expect([...answers]).toEqual([K.done])
    expect(await say(await enter(), 1)).toBe(RelayRefusal.tooFast)
    expect(await say(known, 1)).toBe(RelayRefusal.older)
    expect(await say(await enter(createAccount(), newPeerId(), '/ip4/192.0.2.2/tcp/1'), 1)).toBe(K.done)
    expect(published).toHaveLength(burst + 1)
  })

  it('cuts off who sends too many frames', async () => {
    const { enter } = start()
    const a = await enter()
    for (let turn = 0; turn < FRAME_BURST; turn += 1) a.channel.send(K.ping, turn)
    await settle()
    expect(a.reasons).toHaveLength(1)
  })

  it('survives any frames', async () => {
    const { enter } = start()
    const names = fc
      .array(fc.constantFrom('a.example', 'b.example', '!', ''))
      .map((list) => new TextEncoder().encode(JSON.stringify(list)))
    const frame = fc.tuple(fc.integer({ min: 0, max: 13 }), fc.oneof(fc.uint8Array({ maxLength: 30 }), names))
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 10 }), async (frames) => {
        const a = await enter()
        for (const [kind, body] of frames) await a.say(kind, 1, body)
        a.channel.abort('done')
        expect(a.reasons).toHaveLength(1)
      }),
      { numRuns: 100 },
    )
  })
})
