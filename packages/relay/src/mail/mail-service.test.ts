import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBase64 } from '@plexus/core'
import { StoreError, type MailRefusal, type SealedMail } from '@plexus/engine/ports'
import {
  createFrameChannel,
  dayOf,
  decodeMailboxHello,
  decodeRefusal,
  encodeCursor,
  encodeDeposit,
  encodeRegistration,
  MailboxFrame as K,
  MAX_DEPOSITS_IN_FLIGHT,
  MAX_MAIL_BYTES,
  searchProof,
  sendMessage,
  WRITE_HIGH_WATER,
  type Frame,
  type FrameChannel,
  type MailAccess,
} from '@plexus/p2p/wire'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  EXPIRY_INTERVAL_MS,
  MAIL_FRAME_BURST,
  MAIL_IDLE_MS,
  MAX_SOURCE_DEPOSIT_BYTES,
  REGISTRATION_RATE_COST,
  STEADY_CLOCK_MS,
} from '../limits.ts'
import { ACCESS_HASH, ACCESS_KEY, createRecipient, deviceAt, sha256 } from '../testing/recipients.ts'
import { createClock, createEnd, type End } from '../testing/streams.ts'
import { createMailService, type MailService } from './mail-service.ts'
import type { MailStore } from './mail-store.ts'
import { DEFAULT_MAIL_POLICY, type MailPolicy } from './policy.ts'
import { sourceOf } from './sources.ts'
import { openSqliteMailStore } from './sqlite-mail-store.ts'

const NOW = Date.UTC(2026, 0, 1)
const RELAY = deviceAt(40)
const HERE = '/ip4/192.0.2.1/tcp/4001'

let folder = ''
let store: MailStore
let service: MailService
let lines: string[] = []
const clock = createClock(NOW)
const owner = createRecipient(NOW)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plexus-mail-'))
  store = openSqliteMailStore(join(folder, 'mail.db'), { maxBytes: 100_000_000 })
  await store.register(owner.mailbox(), 100)
})
afterEach(async () => {
  await service.close()
  await store[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** A service with the store, or with what `change` makes of it. */
function start(policy: Partial<MailPolicy> = {}, change: Partial<MailStore> = {}): void {
  lines = []
  const log = { log: (...what: unknown[]): void => void lines.push(JSON.stringify(what)) }
  const changed = new Proxy(store, {
    get: (target, key) => Reflect.get(change, key) ?? Reflect.get(target, key),
  })
  service = createMailService(
    { clock, log, store: changed },
    { relay: RELAY, policy: { ...DEFAULT_MAIL_POLICY, proofBits: 6, ...policy } },
  )
}

type Visitor = {
  readonly channel: FrameChannel
  readonly end: End
  /** The relay's end of the stream. */
  readonly far: End
  readonly got: Frame[]
  readonly reasons: string[]
  /** Asks, and resolves with the answer: `done`, or why not. */
  readonly ask: (kind: number, body?: Uint8Array) => Promise<MailRefusal | 'done'>
  readonly leave: (mail: SealedMail, access?: MailAccess) => Promise<MailRefusal | 'done'>
}

function visit(peerId = deviceAt(9), address = HERE): Visitor {
  const [end, far] = [createEnd(), createEnd()]
  end.other = far
  far.other = end
  const got: Frame[] = []
  const reasons: string[] = []
  const waiting = new Map<number, (answer: MailRefusal | 'done') => void>()
  let lastId = 0
  const channel = createFrameChannel(end, {
    frame(frame) {
      got.push(frame)
      if (frame.kind === K.done) waiting.get(frame.id)?.('done')
      if (frame.kind === K.refuse) waiting.get(frame.id)?.(decodeRefusal(frame.body)?.code ?? 'nonsense')
    },
    writable: () => undefined,
    closed: (reason) => reasons.push(reason),
  })
  service.accept(far, { peerId, address })
  const answered = (send: (id: number) => void): Promise<MailRefusal | 'done'> => {
    lastId += 1
    const id = lastId
    send(id)
    return new Promise((resolve) => waiting.set(id, resolve))
  }
  return {
    channel,
    end,
    far,
    got,
    reasons,
    ask: (kind, body) => answered((id) => channel.send(kind, id, body)),
    leave: (mail, access = { accessKey: ACCESS_KEY }) =>
      answered((id) => sendMessage(channel, K.deposit, id, encodeDeposit({ mail, access }))),
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function registration(device: string, token?: string, change: { expires?: number } = {}): Uint8Array {
  return encodeRegistration({
    certificate: owner.certify(device, change),
    record: owner.record(),
    accessKeyHash: encodeBase64(ACCESS_HASH),
    ...(token === undefined ? {} : { token }),
  })
}

describe('who leaves mail', () => {
  it('is told first what the relay asks for', async () => {
    start()
    const { got } = visit()
    await turn()
    expect(decodeMailboxHello(got[0]?.body ?? new Uint8Array(0))).toEqual({ proofBits: 6 })
  })

  it('proves work for this relay, recipient, mail and day when no key is had', async () => {
    start()
    const mail = owner.mail('a', { lane: 'strangers' })
    const mailHash = Buffer.from(sha256(mail.bytes)).toString('base64url')
    const proofOf = (relay: string, day: number): MailAccess => {
      const subject = { relay, recipient: owner.name, mailHash, day }
      return { proof: { day, nonce: searchProof(subject, 6, { from: 0, count: 10_000 }) ?? 0 } }
    }
    const today = dayOf(NOW)
    const { leave } = visit()
    expect(await leave(mail, proofOf(RELAY, today - 2))).toBe('bad-access')
    expect(await leave(mail, proofOf(RELAY, today + 2))).toBe('bad-access')
    expect(await leave(mail, { accessKey: ACCESS_KEY })).toBe('bad-access')
    expect(await leave({ ...mail, lane: 'keys' }, proofOf(RELAY, today))).toBe('bad-access')
    const others = await Promise.all(
      Array.from({ length: 12 }, (_, n) => leave(mail, proofOf(deviceAt(n), today))),
    )
    expect(others.filter((answer) => answer === 'bad-access').length).toBeGreaterThan(6)
    expect(await leave(mail, proofOf(RELAY, today - 1))).toBe('done')
    expect(await leave(mail, proofOf(RELAY, today))).toBe('done')
  })

  it('shares the rate of an address with all that come from it, and of no other', async () => {
    start({ depositsPerSecond: 1, depositBurst: 3 })
    const [one, two] = [visit(deviceAt(8)), visit(deviceAt(9))]
    const answers = [await one.leave(owner.mail('a')), await two.leave(owner.mail('b'))]
    answers.push(await one.leave(owner.mail('c')), await two.leave(owner.mail('d')))
    expect(answers).toEqual(['done', 'done', 'done', 'too-fast'])
    expect(await visit(deviceAt(9), '/ip4/192.0.2.2/tcp/1').leave(owner.mail('e'))).toBe('done')
    clock.advance(1_000)
    expect(await two.leave(owner.mail('d'))).toBe('done')
  })

  it('goes on after a mail that was refused in its midst', async () => {
    start({ depositsPerSecond: 1, depositBurst: 20 })
    const { leave, reasons } = visit()
    expect(await leave(owner.mail('', { bytes: new Uint8Array(300_000) }))).toBe('too-fast')
    clock.advance(1_000)
    expect(await leave(owner.mail('a'))).toBe('done')
    expect(reasons).toEqual([])
  })

  it('is refused a mail larger than any bucket, and leaves the next one', async () => {
    start()
    const { leave } = visit()
    expect(await leave(owner.mail('', { bytes: new Uint8Array(MAX_MAIL_BYTES + 1) }))).toBe('too-large')
    expect(await leave(owner.mail('a'))).toBe('done')
  })

  it('has so many deposits under way on one stream, and so many bytes from one address', async () => {
    const stuck = Promise.withResolvers<'kept'>()
    start({ depositBurst: 100_000 }, { deposit: () => stuck.promise })
    const small = visit(deviceAt(8), '/ip4/192.0.2.9/tcp/1')
    const asked = Array.from({ length: MAX_DEPOSITS_IN_FLIGHT }, (_, n) => small.leave(owner.mail(`${n}`)))
    expect(await small.leave(owner.mail('one more'))).toBe('too-fast')
    const bytes = new Uint8Array(1024 * 1024)
    const large: Promise<string>[] = []
    for (let n = 0; n < MAX_SOURCE_DEPOSIT_BYTES / bytes.length; n += 1) {
      large.push(visit().leave(owner.mail('', { bytes })))
      await turn()
    }
    expect(await Promise.race(large)).toBe('too-fast')
    stuck.resolve('kept')
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['done']))
    expect((await Promise.all(large)).filter((answer) => answer === 'done').length).toBe(large.length - 1)
    expect(await visit().leave(owner.mail('b'))).toBe('done')
  })

  it('hears of a full disk as a quota, and of a broken one by the end of the stream', async () => {
    let error = new StoreError('full', 'no room')
    start({}, { deposit: () => Promise.reject(error) })
    const { leave, reasons } = visit()
    expect(await leave(owner.mail('a'))).toBe('quota')
    error = new StoreError('failed', 'disk')
    void leave(owner.mail('a'))
    await turn()
    expect(reasons).toHaveLength(1)
  })

  it('is answered when the relay stops, and heard no more', async () => {
    const stuck = Promise.withResolvers<'kept'>()
    start({}, { deposit: () => stuck.promise })
    const { leave, reasons } = visit()
    const answer = leave(owner.mail('a'))
    await turn()
    const closed = service.close()
    expect(visit().reasons).toHaveLength(0)
    await turn()
    expect(reasons).toEqual([])
    stuck.resolve('kept')
    expect(await answer).toBe('done')
    await closed
    await turn()
    expect(reasons).toHaveLength(1)
  })

  it('is cut off for too many frames, frames of no kind, and silence', async () => {
    start()
    const [flood, odd, silent, busy] = [visit(), visit(), visit(), visit()]
    for (let n = 0; n <= MAIL_FRAME_BURST; n += 1) flood.channel.send(K.acknowledge, n, encodeCursor(1))
    odd.channel.send(99, 1)
    await turn()
    expect(flood.reasons).toHaveLength(1)
    expect(odd.reasons).toHaveLength(1)
    clock.advance(MAIL_IDLE_MS)
    await busy.leave(owner.mail('a'))
    clock.advance(MAIL_IDLE_MS)
    await turn()
    expect(silent.reasons).toHaveLength(1)
    expect(service.counts().sessions).toBe(1)
  })

  it('never makes the service throw, whatever it says', async () => {
    start()
    const frame = fc.tuple(
      fc.integer({ min: 0, max: 12 }),
      fc.nat({ max: 3 }),
      fc.uint8Array({ maxLength: 60 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(frame), async (frames) => {
        const { channel } = visit()
        for (const [kind, id, body] of frames) channel.send(kind, id, body)
        await turn()
        channel.close('done')
      }),
      { numRuns: 50 },
    )
    await turn()
    expect(service.counts().sessions).toBe(0)
    expect(lines.filter((line) => line.includes('error'))).toEqual([])
  })
})

describe('the owner of a mailbox', () => {
  it.each([
    ['token', { mode: 'token', token: 'let me in please' }, 'let me in please', 'done'],
    ['another token', { mode: 'token', token: 'let me in please' }, 'let me in', 'not-allowed'],
    ['no token', { mode: 'token', token: 'let me in please' }, undefined, 'not-allowed'],
    ['a place on the list', { mode: 'list', names: new Set([owner.name]) }, undefined, 'done'],
    ['no place on the list', { mode: 'list', names: new Set<string>() }, undefined, 'not-allowed'],
  ] as const)('registers with %s', async (_what, mode, token, answer) => {
    const fresh = openSqliteMailStore(join(folder, 'fresh.db'), { maxBytes: 10_000_000 })
    start(
      { registration: mode },
      {
        mailbox: (name) => fresh.mailbox(name),
        register: (mailbox, most) => fresh.register(mailbox, most),
      },
    )
    expect(await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0), token))).toBe(answer)
    await fresh[Symbol.asyncDispose]()
  })

  it('is a device of the record with a certificate that lasts', async () => {
    start()
    const soon = registration(deviceAt(0), undefined, { expires: clock.now() + 1_000 })
    const [mine, other] = [visit(deviceAt(0)), visit(deviceAt(1))]
    expect(await other.ask(K.register, soon)).toBe('not-allowed')
    expect(await mine.ask(K.register, soon)).toBe('done')
    expect(await mine.ask(K.fetch, encodeCursor(0))).toBe('done')
    clock.advance(1_000)
    expect(await mine.ask(K.fetch, encodeCursor(0))).toBe('not-allowed')
    expect(await mine.ask(K.acknowledge, encodeCursor(9))).toBe('not-allowed')
    expect(await visit(deviceAt(4)).ask(K.register, registration(deviceAt(4)))).toBe('not-allowed')
  })

  it('registers at the rate of its address', async () => {
    start({ depositsPerSecond: 1, depositBurst: 2 * REGISTRATION_RATE_COST })
    const answers: string[] = []
    for (let n = 0; n < 3; n += 1)
      answers.push(await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0))))
    expect(answers).toEqual(['done', 'done', 'too-fast'])
  })

  it('is told once of mail until it fetches', async () => {
    start()
    const mine = visit(deviceAt(0))
    await mine.ask(K.register, registration(deviceAt(0)))
    const told = (): number => mine.got.filter(({ kind }) => kind === K.announce).length
    const { leave } = visit()
    await leave(owner.mail('a'))
    await leave(owner.mail('b'))
    await leave(owner.mail('a'))
    expect(told()).toBe(1)
    await mine.ask(K.fetch, encodeCursor(0))
    await leave(owner.mail('c'))
    expect(told()).toBe(2)
  })

  it('that does not read gets one answer, and no second one before it does', async () => {
    start()
    const mine = visit(deviceAt(0))
    await mine.ask(K.register, registration(deviceAt(0)))
    await visit().leave(owner.mail('a'))
    await mine.ask(K.fetch, encodeCursor(0))
    mine.far.writeBufferLength = WRITE_HIGH_WATER
    const second = mine.ask(K.fetch, encodeCursor(0))
    await turn()
    const third = mine.ask(K.fetch, encodeCursor(0))
    await turn()
    const mails = (): number => mine.got.filter(({ kind }) => kind === K.mail).length
    expect(await third).toBe('too-fast')
    expect(mails()).toBe(1)
    mine.far.writeBufferLength = 0
    mine.far.emit('drain', undefined)
    expect(await second).toBe('done')
    expect(mails()).toBe(2)
  })

  it('is named in no line of the log', async () => {
    start()
    await visit(deviceAt(3)).ask(K.register, registration(deviceAt(0)))
    await visit(deviceAt(0)).ask(K.register, registration(deviceAt(0)))
    await visit().leave(owner.mail('a'))
    expect(lines).not.toHaveLength(0)
    expect(lines.join('')).not.toContain(owner.name)
  })
})

describe('the source of a connection', () => {
  it.each([
    ['/ip4/192.0.2.1/tcp/1/ws', '192.0.2.1'],
    ['/ip6/2001:db8:1:2:3:4:5:6/tcp/1', '2001:db8:1:2'],
    ['/ip6/2001:db8::6/udp/1/webrtc-direct', '2001:db8:0:0'],
    ['/ip6/::1/tcp/1', '0:0:0:0'],
    ['nonsense', ''],
  ])('%s is %s', (address, source) => {
    expect(sourceOf(address)).toBe(source)
  })
})

describe('what expired', () => {
  it('is removed once the clock has gone evenly for a while, not when it jumps', async () => {
    const removals: number[] = []
    start({}, { expire: async (now) => void removals.push(now - NOW) })
    const pass = (times: number): void => {
      for (let time = 0; time < times; time += 1) clock.advance(EXPIRY_INTERVAL_MS)
    }
    const steady = STEADY_CLOCK_MS / EXPIRY_INTERVAL_MS
    pass(steady - 1)
    expect(removals).toEqual([])
    pass(2)
    expect(removals).toHaveLength(2)
    const year = 365 * 24 * 3_600_000
    clock.advance(year)
    pass(steady - 1)
    expect(removals).toHaveLength(2)
    pass(1)
    expect(removals).toHaveLength(3)
  })
})
