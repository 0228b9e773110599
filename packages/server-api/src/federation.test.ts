import type { EventId, JsonObject, JsonValue, RoomId, UserId } from '@plexus/core'
import { requestHash } from '@plexus/core/names'
import type { Carrier, CarrierResponse, EnvelopedRequest, Federation } from '@plexus/engine/ports'
import { FederationError } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import {
  ENVELOPE_LIFETIME_MS,
  MAX_ERROR_LENGTH,
  MAX_HISTORY_ANSWER_BYTES,
  MAX_KEYS_ANSWER_BYTES,
  MAX_SMALL_ANSWER_BYTES,
  MAX_STATE_ANSWER_BYTES,
} from './bounds.ts'
import { createFederation } from './federation.ts'
import { encodeMedia } from './multipart.ts'
import {
  answeringCarrier,
  directCarrier,
  fakeServer,
  INCARNATION,
  jsonAnswer,
  START,
  testClock,
  testSigner,
} from './testing/fixtures.ts'

const alice = testSigner(1)
const bob = testSigner(2)
const init = { incarnation: INCARNATION }
const ROOM = `!${'r'.repeat(43)}` as RoomId
const EVENT = `$${'e'.repeat(43)}` as EventId
const BOB = `@bob:${bob.name}` as UserId
const PDU: JsonObject = { type: 'm.room.message', content: { body: 'hi' } }

const client = (answer: CarrierResponse | undefined, sent: EnvelopedRequest[] = []): Federation =>
  createFederation({ carrier: answeringCarrier(answer, sent), signer: alice, clock: testClock() }, init)

const V1 = '/_matrix/federation/v1'

/** What comes out of a call: its value, or the error. */
const outcomeOf = async (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error)

describe('createFederation', () => {
  it.each<[unknown, string]>([
    [{ errcode: 7 }, 'M_UNKNOWN'],
    ['no', 'M_UNKNOWN'],
    [[], 'M_UNKNOWN'],
    [
      { errcode: 'M_X'.repeat(1_000), error: 'e'.repeat(100_000) },
      'M_X'.repeat(1_000).slice(0, MAX_ERROR_LENGTH),
    ],
  ])('bounds what an error answer says: %.30j', async (body, errcode) => {
    const error = await outcomeOf(client(jsonAnswer(body, 500)).event(bob.name, EVENT))
    expect(error).toBeInstanceOf(FederationError)
    const { remote } = error as FederationError
    expect(remote).toMatchObject({ status: 500, errcode })
    expect(remote.error.length).toBeLessThanOrEqual(MAX_ERROR_LENGTH)
  })

  it.each<[string, number, (federation: Federation) => Promise<unknown>]>([
    ['a profile', MAX_SMALL_ANSWER_BYTES, (f) => f.profile(bob.name, BOB, undefined)],
    ['keys', MAX_KEYS_ANSWER_BYTES, (f) => f.queryKeys(bob.name, {})],
    ['history', MAX_HISTORY_ANSWER_BYTES, (f) => f.backfill(bob.name, ROOM, [EVENT], 1)],
    ['state', MAX_STATE_ANSWER_BYTES, (f) => f.state(bob.name, ROOM, EVENT)],
  ])('refuses %s beyond %i bytes', async (_, maxBytes, call) => {
    const body = new Uint8Array(maxBytes + 1).fill(0x20)
    const answer = { status: 200, contentType: 'application/json', body }
    const error = { code: 'refused', message: 'the answer is too large' }
    expect(await outcomeOf(call(client(answer)))).toMatchObject(error)
    const asked: unknown[] = []
    const send: Carrier['send'] = async (_request, options) => {
      asked.push(options.maxBytes)
      return answer
    }
    await outcomeOf(call(createFederation({ carrier: { send }, signer: alice, clock: testClock() }, init)))
    expect(asked).toEqual([maxBytes])
  })

  const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) as JsonValue
  it.each<[string, JsonObject, (federation: Federation) => Promise<unknown>]>([
    ['history', { pdus: [PDU, { deep }] }, (f) => f.backfill(bob.name, ROOM, [EVENT], 2)],
    [
      'missing events',
      { events: [PDU, { deep }] },
      (f) => f.getMissingEvents(bob.name, ROOM, { earliest: [], latest: [EVENT], limit: 2, minDepth: 0 }),
    ],
    ['a state', { pdus: [PDU, { deep }], auth_chain: [] }, (f) => f.state(bob.name, ROOM, EVENT)],
    [
      'the answer to a join',
      { state: [PDU, { deep }], auth_chain: [] },
      (f) => f.sendJoin(bob.name, ROOM, EVENT, PDU),
    ],
    ['an event', { pdus: [{ deep }] }, (f) => f.event(bob.name, EVENT)],
  ])('takes %s with an event that is nested too deep, which is refused by itself', async (_, body, call) => {
    expect(await outcomeOf(call(client(jsonAnswer(body))))).not.toBeInstanceOf(Error)
  })

  it('takes nothing else that is nested too deep', async () => {
    const error = { code: 'refused', message: 'the answer is too deep' }
    expect(await outcomeOf(client(jsonAnswer({ deep })).profile(bob.name, BOB, undefined))).toMatchObject(
      error,
    )
  })

  it('encloses each request with a rising expiry, the incarnation, and the sequence where there is one', async () => {
    const sent: EnvelopedRequest[] = []
    const federation = client(jsonAnswer({ pdus: {} }), sent)
    await Promise.all([
      federation.sendTransaction(bob.name, { txnId: '1', pdus: [], edus: [], sequence: 4, acknowledged: 3 }),
      federation.sendTransaction(bob.name, { txnId: '1', pdus: [], edus: [] }),
    ])
    const [first, second] = sent as [EnvelopedRequest, EnvelopedRequest]
    expect(first.envelope).toEqual({
      requestHash: requestHash(first.request),
      incarnation: INCARNATION,
      sequence: 4,
      expires: START + ENVELOPE_LIFETIME_MS,
    })
    expect(first.request.content).toMatchObject({ 'plexus.acknowledged': 3 })
    expect(second.envelope.sequence).toBeUndefined()
    expect(second.envelope.expires).toBe(first.envelope.expires + 1)
  })

  it('goes on in time when the clock is set back', async () => {
    const sent: EnvelopedRequest[] = []
    const clock = testClock()
    const carrier = answeringCarrier(jsonAnswer({}), sent)
    const federation = createFederation({ carrier, signer: alice, clock }, init)
    await federation.profile(bob.name, BOB, undefined)
    clock.advance(-1_000)
    await federation.profile(bob.name, BOB, undefined)
    clock.advance(-3_600_000)
    await federation.profile(bob.name, BOB, undefined)
    const expiries = sent.map(({ envelope }) => envelope.expires - START - ENVELOPE_LIFETIME_MS)
    expect(expiries).toEqual([0, 1, -3_601_000])
  })

  it('sends nothing once it is aborted', async () => {
    const sent: EnvelopedRequest[] = []
    const signal = AbortSignal.abort(new Error('stop'))
    await expect(client(jsonAnswer({}), sent).profile(bob.name, BOB, undefined, { signal })).rejects.toThrow(
      'stop',
    )
    expect(sent).toEqual([])
  })

  it('gives on the acknowledgement of its own incarnation only', async () => {
    const acknowledged = (incarnation: string): CarrierResponse => ({
      ...jsonAnswer({ pdus: {} }),
      acknowledgement: { incarnation, committed: 9 },
    })
    const transaction = { txnId: '1', pdus: [], edus: [] }
    expect(await client(acknowledged(INCARNATION)).sendTransaction(bob.name, transaction)).toEqual({
      pdus: {},
      committed: 9,
    })
    expect(await client(acknowledged('B'.repeat(22))).sendTransaction(bob.name, transaction)).toEqual({
      pdus: {},
    })
  })

  it('refuses names that would make another path', async () => {
    const federation = client(jsonAnswer({}))
    for (const id of ['', '..', '.']) {
      expect(await outcomeOf(federation.downloadMedia(bob.name, id, 10))).toMatchObject({
        remote: { status: 404 },
      })
    }
  })
})

describe('downloadMedia', () => {
  const media = { contentType: 'image/png', fileName: 'a.png', bytes: Uint8Array.of(1, 2, 3) }
  const encoded = encodeMedia(media, new Uint8Array(18))
  const answer: CarrierResponse = { status: 200, contentType: encoded.contentType, body: encoded.bytes }

  it('gives the media part', async () => {
    const sent: EnvelopedRequest[] = []
    expect(await client(answer, sent).downloadMedia(bob.name, 'a/b', 3)).toEqual(media)
    expect(sent[0]?.request.uri).toBe(`${V1}/media/download/a%2Fb`)
  })

  it.each<[string, CarrierResponse]>([
    ['JSON', jsonAnswer({})],
    ['a cut answer', { ...answer, body: answer.body.slice(0, -8) }],
  ])('refuses %s', async (_, response) => {
    expect(await outcomeOf(client(response).downloadMedia(bob.name, 'x', 3))).toMatchObject({
      code: 'refused',
    })
  })

  it('says of a body that is far too large what it is', async () => {
    const response = { ...answer, body: new Uint8Array(100_000) }
    expect(await outcomeOf(client(response).downloadMedia(bob.name, 'x', 3))).toMatchObject({
      remote: { errcode: 'M_TOO_LARGE' },
    })
  })

  it('refuses media that is larger than asked for', async () => {
    expect(await outcomeOf(client(answer).downloadMedia(bob.name, 'x', 2))).toMatchObject({ code: 'refused' })
  })
})

describe('client and handler', () => {
  it('understand each other, acknowledgement and media included', async () => {
    const clock = testClock()
    const seen: unknown[] = []
    const { handle } = fakeServer(bob.name, clock, {
      inbound: {
        transaction: async (transaction) => {
          seen.push(transaction)
          return { pdus: { [EVENT]: {} }, committed: 5 }
        },
      },
      queries: { media: async () => ({ contentType: 'image/png', bytes: Uint8Array.of(13, 10, 45, 45) }) },
    })
    const federation = createFederation({ carrier: directCarrier(handle), signer: alice, clock }, init)
    const transaction = { txnId: '1', pdus: [PDU], edus: [PDU], sequence: 5, acknowledged: 2 }
    expect(await federation.sendTransaction(bob.name, transaction)).toEqual({
      pdus: { [EVENT]: {} },
      committed: 5,
    })
    expect(seen).toEqual([
      {
        origin: alice.name,
        pdus: [PDU],
        edus: [PDU],
        ordered: { incarnation: INCARNATION, sequence: 5, acknowledged: 2 },
      },
    ])
    const { bytes } = await federation.downloadMedia(bob.name, 'x', 100)
    expect(bytes).toEqual(Uint8Array.of(13, 10, 45, 45))
  })
})
