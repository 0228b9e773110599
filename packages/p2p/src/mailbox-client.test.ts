import { encodeBase64, type UserId } from '@plexus/core'
import { beforeAll, describe, expect, it } from 'vitest'
import { createMailboxClient, MAIL_ANSWER_MS } from './mailbox-client.ts'
import { createAccount, type TestAccount } from './testing/accounts.ts'
import { createStreamPair } from './testing/stream-pair.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'
import { createFrameReader, encodeFrame, type Frame } from './wire/frame.ts'
import {
  MAX_DEPOSITS_IN_FLIGHT,
  MAX_FRAME_BODY,
  MAX_MAILS_PER_FETCH,
  MAX_PROOF_BITS,
  MIN_RETENTION_MS,
} from './wire/limits.ts'
import { encodeKeptMail, encodeMailboxHello, encodeRefusal, MailboxFrame as K } from './wire/mailbox.ts'
import { encodeShelfAnswer } from './wire/shelf.ts'
import { encodeJson, messagePart } from './wire/message.ts'

const NOW = Date.UTC(2026, 0, 1)
const KEY = encodeBase64(new Uint8Array(32))
const NOTHING = new Uint8Array(0)
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

let me: TestAccount
beforeAll(async () => {
  me = await createAccount()
})

/** A client of a relay that says only what the test says. */
function start() {
  const clock = createVirtualClock(NOW)
  const [near, far] = createStreamPair()
  const got: Frame[] = []
  const reasons: string[] = []
  let announced = 0
  const reader = createFrameReader()
  far.addEventListener('message', ({ data }) => {
    got.push(...reader.push(data instanceof Uint8Array ? data : data.subarray()).frames)
  })
  const client = createMailboxClient(
    { clock, announced: () => (announced += 1), closed: (reason) => reasons.push(reason) },
    near,
  )
  const say = async (kind: number, id: number, body: Uint8Array = NOTHING): Promise<void> => {
    if (reasons.length === 0) far.send(encodeFrame(kind, id, body))
    await settle()
  }
  /** Asks for mail after cursor 5, and hears the mails with these cursors. */
  const fetched = async (cursors: readonly number[]): Promise<unknown> => {
    const answer = client.fetch(me.name, 5).catch((error: unknown) => error)
    await settle()
    const id = got.at(-1)?.id ?? 0
    for (const cursor of cursors) await say(K.mail, id, messagePart(encodeKeptMail(keptAt(cursor)), 0))
    await say(K.done, id)
    return answer
  }
  return { client, clock, got, reasons, say, fetched, announced: () => announced }
}

const keptAt = (cursor: number, length = 3) => ({
  cursor,
  mail: {
    recipient: me.name,
    lane: 'keys' as const,
    keyId: 'k1',
    expires: NOW,
    bytes: new Uint8Array(length),
  },
})

describe('a mailbox client', () => {
  it('gets the mail that it asked for', async () => {
    const { fetched } = start()
    expect(await fetched([6, 9])).toEqual([keptAt(6), keptAt(9)])
  })

  it('is told of mail once until it fetches', async () => {
    const { say, fetched, announced } = start()
    for (let n = 0; n < 3; n += 1) await say(K.announce, 0)
    expect(announced()).toBe(1)
    await fetched([])
    await say(K.announce, 0)
    expect(announced()).toBe(2)
  })

  it.each([
    ['again', [6, 6]],
    ['in another order', [7, 6]],
    ['that is older', [5]],
    ['without end', Array.from({ length: MAX_MAILS_PER_FETCH + 1 }, (_, n) => n + 6)],
  ])('leaves a relay that sends mail %s', async (_what, cursors) => {
    const { fetched, reasons } = start()
    expect(await fetched(cursors)).toMatchObject({ name: 'CarrierError', code: 'refused' })
    expect(reasons).toHaveLength(1)
  })

  it('leaves a relay that sends more bytes than there may be', async () => {
    const { client, say, got, reasons } = start()
    const answer = expect(client.fetch(me.name, 0)).rejects.toMatchObject({ code: 'refused' })
    await settle()
    const id = got[0]?.id ?? 0
    for (let cursor = 1; cursor < 200; cursor += 1)
      await say(K.mail, id, messagePart(encodeKeptMail(keptAt(cursor, MAX_FRAME_BODY - 200)), 0))
    await answer
    expect(reasons).toEqual(['more mail than a relay sends'])
  })

  it.each([
    ['a kind that there is not', 77, NOTHING],
    ['a hello that is none', K.hello, NOTHING],
    ['a call for more work than anybody does', K.hello, encodeJson({ proofBits: MAX_PROOF_BITS + 1 })],
    ['a refusal that is none', K.refuse, NOTHING],
    ['a part of nothing', K.part, NOTHING],
    ['its word that the device is none of the name', K.refuse, encodeRefusal({ code: 'not-allowed' })],
  ])('leaves a relay that sends %s', async (_what, kind, body) => {
    const { say, reasons } = start()
    await say(kind, 0, body)
    expect(reasons).toHaveLength(1)
  })

  it.each([
    ['that is not signed', { user: 'ada' }],
    ['of another user', { user: 'eve' }],
    ['in other words', undefined],
  ])('takes no shelf %s', async (_what, change) => {
    const { client, say, got } = start()
    const user = `@ada:${me.name}` as UserId
    const answer = client.ask({ recipient: me.name, user, devices: [] }).catch((error: unknown) => error)
    await settle()
    const id = got.at(-1)?.id ?? 0
    const of = `@${change?.user ?? 'ada'}:${me.name}` as UserId
    const record = { name: me.name, sequence: 1, expires: NOW + 1_000, user: of, list: { devices: [] } }
    const shelf = { record, signature: encodeBase64(new Uint8Array(64)) }
    await say(K.shelf, id, change === undefined ? NOTHING : encodeShelfAnswer({ shelf, keys: {} }))
    await say(K.done, id)
    expect(await answer).toMatchObject({ name: 'CarrierError', code: 'refused' })
  })

  it('drops mail that it did not ask for, and answers to nothing', async () => {
    const { say, reasons, fetched } = start()
    await say(K.mail, 99, messagePart(encodeKeptMail(keptAt(6)), 0))
    await say(K.done, 98)
    await say(K.refuse, 97, encodeRefusal({ code: 'quota' }))
    expect(reasons).toEqual([])
    expect(await fetched([6])).toHaveLength(1)
  })

  it('says why the relay refuses, and shows no record that is unsound or of another name', async () => {
    const { client, say, got } = start()
    const deposit = { mail: keptAt(1).mail, access: { accessKey: KEY } }
    const refused = expect(client.deposit(deposit)).rejects.toEqual(
      expect.objectContaining({ name: 'MailError', code: 'old-key', record: undefined }),
    )
    await settle()
    const record = {
      record: { name: me.name, sequence: 1, expires: NOW + 1, mailboxes: [], devices: [], sealingKeys: [] },
      signature: KEY,
    }
    await say(K.refuse, got[0]?.id ?? 0, encodeRefusal({ code: 'old-key', record }))
    await refused
  })

  it('waits so long for an answer and a first word, and asks so much at once', async () => {
    const { client, clock, say, reasons } = start()
    await say(K.hello, 0, encodeMailboxHello({ proofBits: 1, retentionMs: MIN_RETENTION_MS }))
    const outcomes: unknown[] = []
    for (let n = 0; n < MAX_DEPOSITS_IN_FLIGHT + 2; n += 1)
      client.acknowledge(n).catch((error: unknown) => outcomes.push(error))
    await settle()
    expect(outcomes).toHaveLength(2)
    clock.advance(MAIL_ANSWER_MS)
    await settle()
    expect(outcomes.at(-1)).toMatchObject({ code: 'timeout' })
    expect(reasons).toEqual([])
    const silent = start()
    silent.clock.advance(MAIL_ANSWER_MS)
    await expect(silent.client.hello).rejects.toMatchObject({ code: 'unreachable' })
    expect(silent.reasons).toHaveLength(1)
  })
})
