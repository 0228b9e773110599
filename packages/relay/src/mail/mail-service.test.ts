import { StoreError, type SealedMail } from '@plexus/engine/ports'
import {
  dayOf,
  decodeMailboxHello,
  encodeCursor,
  encodeDeposit,
  MailboxFrame as K,
  MAX_DEPOSITS_IN_FLIGHT,
  MAX_MAIL_BYTES,
  searchProof,
  sendMessage,
  type FrameChannel,
  type MailAccess,
} from '@plexus/p2p/wire'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  EXPIRY_INTERVAL_MS,
  STEADY_CLOCK_MS,
  MAIL_FRAME_BURST,
  MAIL_IDLE_MS,
  MAX_DEPOSIT_BYTES,
  MAX_SOURCE_DEPOSIT_BYTES,
} from '../limits.ts'
import {
  clock,
  lines,
  NOW,
  owner,
  RELAY,
  service,
  start,
  store,
  turn,
  useMailService,
  visit,
} from '../testing/mail-world.ts'
import { ACCESS_KEY, deviceAt, sha256 } from '../testing/recipients.ts'
import { DEFAULT_MAIL_POLICY } from './policy.ts'
import { sourceOf } from './sources.ts'

useMailService()

/** The first frame of a mail. */
function messageStart(mail: SealedMail): Uint8Array {
  const sent: Uint8Array[] = []
  const channel = { send: (_kind: number, _id: number, body: Uint8Array) => void sent.push(body) }
  const message = encodeDeposit({ mail, access: { accessKey: ACCESS_KEY } })
  sendMessage(channel as FrameChannel, K.deposit, 1, message)
  return sent[0] ?? new Uint8Array(0)
}

describe('who leaves mail', () => {
  it('is told first what the relay asks for', async () => {
    start()
    const { got } = visit()
    await turn()
    expect(decodeMailboxHello(got[0]?.body ?? new Uint8Array(0))).toEqual({
      proofBits: 6,
      retentionMs: DEFAULT_MAIL_POLICY.retentionMs,
    })
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
    expect(await visit().leave(owner.mail('b', { bytes }))).toBe('done')
  })

  it('has so many bytes under way from all addresses together', async () => {
    const stuck = Promise.withResolvers<'kept'>()
    start({ depositBurst: 100_000 }, { deposit: () => stuck.promise })
    const bytes = new Uint8Array(1024 * 1024)
    const large: Promise<string>[] = []
    for (let n = 0; n < MAX_DEPOSIT_BYTES / bytes.length; n += 1) {
      large.push(visit(deviceAt(9), `/ip4/192.0.2.${n % 5}/tcp/1`).leave(owner.mail('', { bytes })))
      await turn()
    }
    expect(await Promise.race(large)).toBe('too-fast')
    stuck.resolve('kept')
    await Promise.all(large)
  })

  it('gives back what was held for a mail that it did not end', async () => {
    start({ depositBurst: 100_000 })
    const bytes = new Uint8Array(1024 * 1024)
    const part = messageStart(owner.mail('', { bytes }))
    for (let n = 0; n < 300; n += 1) {
      const { channel } = visit()
      channel.send(K.deposit, 1, part)
      await turn()
      channel.close('gone')
    }
    await turn()
    expect(await visit().leave(owner.mail('', { bytes }))).toBe('done')
  })

  it.each([
    ['is given up', { tombstone: 'dead' }, 'unknown-recipient'],
    ['has expired', { expires: 1 }, 'unknown-recipient'],
    ['has an old sealing key', { sealingKeys: [{ id: 'k1', publicKey: ACCESS_KEY, expires: 1 }] }, 'old-key'],
  ] as const)('leaves nothing for a name whose record %s', async (_what, change, code) => {
    start()
    await store.register(owner.mailbox({ sequence: 2, ...change }), 100)
    expect(await visit().leave(owner.mail('a'))).toBe(code)
  })

  it('leaves it for as long as the relay keeps mail', async () => {
    start({ retentionMs: 1_000 })
    const mail = owner.mail('a')
    await visit().leave(mail)
    // It opens with the expiry alone that it was sealed with.
    expect(await store.fetch(owner.name, 0, { mails: 1, bytes: 1 })).toMatchObject([{ mail }])
    await store.expire(clock.now() + 1_000)
    expect((await store.totals()).mails).toBe(0)
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
    const late = visit()
    await turn()
    expect(late.reasons).toHaveLength(1)
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

describe('the source of a connection', () => {
  it.each([
    ['/ip4/192.0.2.1/tcp/1/ws', '192.0.2.1'],
    ['/ip6/2001:db8:1:2:3:4:5:6/tcp/1', '2001:db8:1:2'],
    ['/ip6/2001:db8::6/udp/1/webrtc-direct', '2001:db8:0:0'],
    ['/ip6/::1/tcp/1', '0:0:0:0'],
    ['/ip6/::ffff:192.0.2.1/tcp/1/ws', '192.0.2.1'],
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
