import fc from 'fast-check'
import { encodeBase64, type ServerName } from '@plexus/core'
import type { SignedAccountRecord } from '@plexus/core/names'
import type { KeptMail, SealedMail } from '@plexus/engine/ports'
import { beforeAll, describe, expect, it } from 'vitest'
import { createAccount, type TestAccount } from '../testing/accounts.ts'
import {
  MAX_FRAME_BODY,
  MAX_MAIL_BYTES,
  MAX_MAIL_HEADER_BYTES,
  MAX_PROOF_BITS,
  MIN_RETENTION_MS,
} from './limits.ts'
import {
  createMailReader,
  decodeCursor,
  decodeDeposit,
  decodeKeptMail,
  decodeMailboxHello,
  decodeRefusal,
  decodeRegistration,
  encodeCursor,
  encodeDeposit,
  encodeKeptMail,
  encodeMailboxHello,
  encodeRefusal,
  encodeRegistration,
  type Deposit,
  type MailboxRegistration,
} from './mailbox.ts'
import { encodeJson, messageBytes, messagePart, type Message } from './message.ts'

const NOW = Date.UTC(2026, 0, 1)
const KEY = encodeBase64(new Uint8Array(32).fill(7))

let account: TestAccount
let record: SignedAccountRecord
beforeAll(async () => {
  account = await createAccount()
  record = {
    record: {
      name: account.name,
      sequence: 4,
      expires: NOW + 1_000,
      mailboxes: [{ peerId: account.peerId, multiaddrs: ['/dns/relay.example/tcp/443/wss'] }],
      devices: [account.peerId],
      sealingKeys: [{ id: 'k1', publicKey: KEY, expires: NOW + 500 }],
    },
    signature: encodeBase64(new Uint8Array(64)),
  }
})

const mail = (change: Partial<SealedMail> = {}): SealedMail => ({
  recipient: account.name,
  lane: 'keys',
  keyId: 'k1',
  expires: NOW,
  bytes: Uint8Array.of(1, 2, 3),
  ...change,
})

const parts = (message: Message): Uint8Array[] =>
  Array.from({ length: Math.ceil(messageBytes(message) / MAX_FRAME_BODY) }, (_, n) =>
    messagePart(message, n * MAX_FRAME_BODY),
  )

describe('what travels on a mailbox stream', () => {
  it('comes out as it went in', () => {
    const registration: MailboxRegistration = {
      certificate: account.certify(NOW),
      record,
      accessKeyHash: KEY,
    }
    expect(decodeRegistration(encodeRegistration(registration))).toEqual(registration)
    const withToken = { ...registration, token: 'let me in' }
    expect(decodeRegistration(encodeRegistration(withToken))).toEqual(withToken)
    const deposits: Deposit[] = [
      { mail: mail(), access: { accessKey: KEY } },
      { mail: mail({ lane: 'strangers' }), access: { proof: { day: 20_000, nonce: 17 } } },
    ]
    for (const deposit of deposits) expect(decodeDeposit(encodeDeposit(deposit))).toEqual(deposit)
    const kept: KeptMail = { cursor: 9, mail: mail({ lane: 'events' }) }
    expect(decodeKeptMail(encodeKeptMail(kept), account.name)).toEqual(kept)
    expect(decodeCursor(encodeCursor(2 ** 52))).toBe(2 ** 52)
    expect(decodeRefusal(encodeRefusal({ code: 'quota' }))).toEqual({ code: 'quota' })
    expect(decodeRefusal(encodeRefusal({ code: 'old-key', record }))).toEqual({ code: 'old-key', record })
    const hello = { proofBits: 18, retentionMs: MIN_RETENTION_MS }
    expect(decodeMailboxHello(encodeMailboxHello(hello))).toEqual(hello)
  })

  it('is of the shape or nothing', () => {
    const deposit = { recipient: account.name, lane: 'keys', keyId: 'k1', expires: NOW, accessKey: KEY }
    const decode = (change: object): Deposit | undefined =>
      decodeDeposit({ header: encodeJson({ ...deposit, ...change }), body: new Uint8Array(0) })
    expect(decode({})).toBeDefined()
    const wrong = [
      { recipient: 'not a name' },
      { recipient: 'a'.repeat(300) as ServerName },
      { lane: 'others' },
      { keyId: 'a key' },
      { expires: -1 },
      { expires: 1.5 },
      { accessKey: 'AAAA' },
      { accessKey: undefined },
      { accessKey: undefined, proof: { day: 1 } },
      { accessKey: undefined, proof: { day: 1, nonce: 2 ** 53 } },
    ]
    for (const change of wrong) expect(decode(change)).toBeUndefined()
    expect(decodeRefusal(encodeJson({ code: 'a later one' }))).toEqual({ code: 'nonsense' })
    expect(decodeRefusal(encodeJson({ code: 'old-key', record: { record: {} } }))).toBeUndefined()
    expect(decodeCursor(encodeJson({ cursor: '1' }))).toBeUndefined()
    const hello = { proofBits: 1, retentionMs: MIN_RETENTION_MS }
    for (const change of [
      { proofBits: MAX_PROOF_BITS + 1 },
      { retentionMs: MIN_RETENTION_MS - 1 },
      { retentionMs: 1e99 },
    ])
      expect(decodeMailboxHello(encodeJson({ ...hello, ...change }))).toBeUndefined()
    const registration = { certificate: account.certify(NOW), record, accessKeyHash: KEY }
    for (const change of [{ accessKeyHash: 'x' }, { token: 'x'.repeat(300) }, { record: 1 }]) {
      expect(decodeRegistration(encodeJson({ ...registration, ...change }))).toBeUndefined()
    }
  })

  it('never makes a decoder throw', () => {
    const decoders = [
      decodeRegistration,
      decodeMailboxHello,
      decodeCursor,
      decodeRefusal,
      (bytes: Uint8Array) => decodeDeposit({ header: bytes, body: bytes }),
      (bytes: Uint8Array) => decodeKeptMail({ header: bytes, body: bytes }, account.name),
    ]
    const json = fc.json().map((text) => new TextEncoder().encode(text))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), json), (bytes) => {
        for (const decode of decoders) decode(bytes)
      }),
    )
  })
})

describe('a mail reader', () => {
  it('puts a mail of many frames together, and the next one after it', () => {
    const reader = createMailReader()
    const large = { header: encodeJson({ a: 1 }), body: new Uint8Array(MAX_MAIL_BYTES).fill(5) }
    const results = parts(large).map((part, n) => reader.add(1, n === 0, part))
    expect(results.slice(0, -1).every((result) => result === undefined)).toBe(true)
    expect((results.at(-1) as Message).body.length).toBe(MAX_MAIL_BYTES)
    expect(reader.kept).toBe(0)
    const small = { header: encodeJson({}), body: Uint8Array.of(1) }
    expect(reader.add(2, true, messagePart(small, 0))).toEqual(small)
  })

  it('refuses what is too large before any of it is kept', () => {
    const long = { header: encodeJson({}), body: new Uint8Array(MAX_MAIL_BYTES + 1) }
    const reader = createMailReader()
    expect(reader.add(1, true, messagePart(long, 0))).toBe('message too long')
    expect(reader.kept).toBe(0)
    const header = { header: new Uint8Array(MAX_MAIL_HEADER_BYTES + 1), body: new Uint8Array(0) }
    expect(createMailReader().add(1, true, messagePart(header, 0))).toBe('message too long')
  })

  it.each([
    ['a part of nothing', [[1, false]]],
    [
      'a second mail before the first is whole',
      [
        [1, true],
        [2, true],
      ],
    ],
    [
      'a part of another mail',
      [
        [1, true],
        [2, false],
      ],
    ],
  ] as const)('tells %s', (_what, frames) => {
    const [first = new Uint8Array(0)] = parts({ header: encodeJson({}), body: new Uint8Array(100_000) })
    const reader = createMailReader()
    const results = frames.map(([id, isFirst]) => reader.add(id, isFirst, first))
    expect(results.at(-1)).toBe('part out of turn')
  })

  it('never throws, and keeps no more than one mail', () => {
    const frame = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.uint8Array({ maxLength: 40 }))
    fc.assert(
      fc.property(fc.array(frame), (frames) => {
        const reader = createMailReader()
        for (const [id, first, body] of frames) {
          reader.add(id, first, body)
          expect(reader.kept).toBeLessThan(MAX_MAIL_BYTES + MAX_MAIL_HEADER_BYTES + 8)
        }
      }),
    )
  })
})
