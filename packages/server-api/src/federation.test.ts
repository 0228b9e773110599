import type { EventId, JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import { requestHash } from '@plexus/core/names'
import type { CarrierResponse, EnvelopedRequest, Federation } from '@plexus/engine/ports'
import { CarrierError, FederationError } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import {
  ENVELOPE_LIFETIME_MS,
  MAX_ALIAS_SERVERS,
  MAX_ERROR_LENGTH,
  MAX_HISTORY_ANSWER_BYTES,
  MAX_HISTORY_EVENTS,
  MAX_KEYS_ANSWER_BYTES,
  MAX_SMALL_ANSWER_BYTES,
  MAX_STATE_ANSWER_BYTES,
  MAX_STATE_EVENTS,
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
const ALICE = `@alice:${alice.name}` as UserId
const BOB = `@bob:${bob.name}` as UserId
const PDU: JsonObject = { type: 'm.room.message', content: { body: 'hi' } }

const client = (answer: CarrierResponse | undefined, sent: EnvelopedRequest[] = []): Federation =>
  createFederation({ carrier: answeringCarrier(answer, sent), signer: alice, clock: testClock() }, init)

type Call = (federation: Federation, to: ServerName) => Promise<unknown>
type Row = {
  readonly name: string
  readonly call: Call
  readonly method: string
  readonly uri: string
  readonly content?: JsonObject
  readonly answer: JsonObject
  readonly result: unknown
  /** Answers of the right status that are refused. */
  readonly wrong: readonly unknown[]
}

const V1 = '/_matrix/federation/v1'
const V2 = '/_matrix/federation/v2'
const enc = encodeURIComponent
const many = (length: number): JsonObject[] => Array.from({ length }, () => ({}))
const invite = { roomVersion: '12', event: PDU, inviteRoomState: [PDU] }
const missing = { earliest: [EVENT], latest: [EVENT], limit: 20, minDepth: 3 }

const ROWS: readonly Row[] = [
  {
    name: 'sendTransaction',
    call: (f, to) => f.sendTransaction(to, { txnId: 't/1', pdus: [PDU], edus: [] }),
    method: 'PUT',
    uri: `${V1}/send/t%2F1`,
    content: { origin: alice.name, origin_server_ts: START, pdus: [PDU], edus: [] },
    answer: { pdus: { [EVENT]: {}, $x: { error: 'no' } } },
    result: { pdus: { [EVENT]: {}, $x: { error: 'no' } } },
    wrong: [{}, { pdus: [] }, { pdus: { [EVENT]: 'no' } }, { pdus: { [EVENT]: { error: 7 } } }],
  },
  {
    name: 'makeMembership',
    call: (f, to) => f.makeMembership('join', to, ROOM, ALICE, ['11', '12']),
    method: 'GET',
    uri: `${V1}/make_join/${enc(ROOM)}/${enc(ALICE)}?ver=11&ver=12`,
    answer: { room_version: '12', event: PDU },
    result: { roomVersion: '12', event: PDU },
    wrong: [{ room_version: '12' }, { room_version: 12, event: PDU }, { event: [] }],
  },
  {
    name: 'sendJoin',
    call: (f, to) => f.sendJoin(to, ROOM, EVENT, PDU),
    method: 'PUT',
    uri: `${V2}/send_join/${enc(ROOM)}/${enc(EVENT)}`,
    content: PDU,
    answer: { state: [PDU], auth_chain: [], event: PDU, origin: 'x' },
    result: { state: [PDU], authChain: [], event: PDU },
    wrong: [
      { state: [PDU] },
      { state: [7], auth_chain: [] },
      { state: many(MAX_STATE_EVENTS + 1), auth_chain: [] },
      { state: [], auth_chain: [], event: 'x' },
      { state: [], auth_chain: [], members_omitted: true },
    ],
  },
  {
    name: 'sendLeave',
    call: (f, to) => f.sendLeave(to, ROOM, EVENT, PDU),
    method: 'PUT',
    uri: `${V2}/send_leave/${enc(ROOM)}/${enc(EVENT)}`,
    content: PDU,
    answer: {},
    result: undefined,
    wrong: [[], 'ok', null],
  },
  {
    name: 'invite',
    call: (f, to) => f.invite(to, ROOM, EVENT, invite),
    method: 'PUT',
    uri: `${V2}/invite/${enc(ROOM)}/${enc(EVENT)}`,
    content: { room_version: '12', event: PDU, invite_room_state: [PDU] },
    answer: { event: PDU },
    result: { event: PDU },
    wrong: [{}, { event: [PDU] }],
  },
  {
    name: 'exchangeThirdPartyInvite',
    call: (f, to) => f.exchangeThirdPartyInvite(to, ROOM, PDU),
    method: 'PUT',
    uri: `${V1}/exchange_third_party_invite/${enc(ROOM)}`,
    content: PDU,
    answer: {},
    result: undefined,
    wrong: [7],
  },
  {
    name: 'getMissingEvents',
    call: (f, to) => f.getMissingEvents(to, ROOM, missing),
    method: 'POST',
    uri: `${V1}/get_missing_events/${enc(ROOM)}`,
    content: { earliest_events: [EVENT], latest_events: [EVENT], limit: 20, min_depth: 3 },
    answer: { events: [PDU] },
    result: { events: [PDU] },
    wrong: [{}, { events: many(MAX_HISTORY_EVENTS + 1) }],
  },
  {
    name: 'backfill',
    call: (f, to) => f.backfill(to, ROOM, [EVENT], 1_000),
    method: 'GET',
    uri: `${V1}/backfill/${enc(ROOM)}?limit=${MAX_HISTORY_EVENTS}&v=${enc(EVENT)}`,
    answer: { origin: 'x', origin_server_ts: 1, pdus: [PDU] },
    result: { pdus: [PDU] },
    wrong: [{}, { pdus: many(MAX_HISTORY_EVENTS + 1) }, { pdus: [[]] }],
  },
  {
    name: 'event',
    call: (f, to) => f.event(to, EVENT),
    method: 'GET',
    uri: `${V1}/event/${enc(EVENT)}`,
    answer: { pdus: [PDU] },
    result: { pdus: [PDU] },
    wrong: [{}, { pdus: many(2) }],
  },
  {
    name: 'state',
    call: (f, to) => f.state(to, ROOM, EVENT),
    method: 'GET',
    uri: `${V1}/state/${enc(ROOM)}?event_id=${enc(EVENT)}`,
    answer: { pdus: [PDU], auth_chain: [PDU] },
    result: { pdus: [PDU], authChain: [PDU] },
    wrong: [{ pdus: [] }, { pdus: many(MAX_STATE_EVENTS + 1), auth_chain: [] }],
  },
  {
    name: 'stateIds',
    call: (f, to) => f.stateIds(to, ROOM, EVENT),
    method: 'GET',
    uri: `${V1}/state_ids/${enc(ROOM)}?event_id=${enc(EVENT)}`,
    answer: { pdu_ids: [EVENT], auth_chain_ids: [] },
    result: { pduIds: [EVENT], authChainIds: [] },
    wrong: [
      { pdu_ids: [EVENT] },
      { pdu_ids: ['$x'], auth_chain_ids: [] },
      { pdu_ids: [7], auth_chain_ids: [] },
    ],
  },
  {
    name: 'profile',
    call: (f, to) => f.profile(to, BOB, 'displayname'),
    method: 'GET',
    uri: `${V1}/query/profile?user_id=${enc(BOB)}&field=displayname`,
    answer: { displayname: 'Bob' },
    result: { displayname: 'Bob' },
    wrong: [[], 'Bob', null],
  },
  {
    name: 'directory',
    call: (f, to) => f.directory(to, '#a b:x'),
    method: 'GET',
    uri: `${V1}/query/directory?room_alias=%23a+b%3Ax`,
    answer: { room_id: ROOM, servers: [bob.name] },
    result: { roomId: ROOM, servers: [bob.name] },
    wrong: [
      { room_id: 'x', servers: [] },
      { room_id: ROOM, servers: ['bad name'] },
      { room_id: ROOM, servers: Array.from({ length: MAX_ALIAS_SERVERS + 1 }, () => bob.name) },
    ],
  },
  {
    name: 'userDevices',
    call: (f, to) => f.userDevices(to, BOB),
    method: 'GET',
    uri: `${V1}/user/devices/${enc(BOB)}`,
    answer: { user_id: BOB, stream_id: 1, devices: [] },
    result: { user_id: BOB, stream_id: 1, devices: [] },
    wrong: [[]],
  },
  {
    name: 'queryKeys',
    call: (f, to) => f.queryKeys(to, { [BOB]: ['D'] }),
    method: 'POST',
    uri: `${V1}/user/keys/query`,
    content: { device_keys: { [BOB]: ['D'] } },
    answer: { device_keys: {} },
    result: { device_keys: {} },
    wrong: [[]],
  },
  {
    name: 'claimKeys',
    call: (f, to) => f.claimKeys(to, { [BOB]: { D: 'signed_curve25519' } }),
    method: 'POST',
    uri: `${V1}/user/keys/claim`,
    content: { one_time_keys: { [BOB]: { D: 'signed_curve25519' } } },
    answer: { one_time_keys: {} },
    result: { one_time_keys: {} },
    wrong: [[]],
  },
]

/** What comes out of a call: its value, or the error. */
const outcomeOf = async (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error)

describe.each(ROWS)('$name', ({ call, method, uri, content, answer, result, wrong }) => {
  it('asks as the specification says, and gives the answer its shape', async () => {
    const sent: EnvelopedRequest[] = []
    expect(await call(client(jsonAnswer(answer), sent), bob.name)).toEqual(result)
    const [{ request }] = sent as [EnvelopedRequest]
    expect({ method: request.method, uri: request.uri }).toEqual({ method, uri })
    // As it stands on the wire: what is undefined is not there.
    expect(JSON.stringify(request.content)).toBe(JSON.stringify(content))
    expect({ origin: request.origin, to: request.destination }).toEqual({ origin: alice.name, to: bob.name })
  })

  it.each(wrong.map((body) => [body]))('refuses a malformed answer: %.40j', async (body) => {
    const error = await outcomeOf(call(client(jsonAnswer(body)), bob.name))
    expect(error).toBeInstanceOf(CarrierError)
    expect(error).toMatchObject({ code: 'refused' })
  })

  it.each<[string, CarrierResponse]>([
    ['no JSON', { status: 200, contentType: 'application/json', body: new TextEncoder().encode('{') }],
    ['no UTF-8', { status: 200, contentType: 'application/json', body: Uint8Array.of(0x22, 0xff, 0x22) }],
    [
      'deep nesting',
      { ...jsonAnswer({}), body: new TextEncoder().encode(`{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`) },
    ],
    ['a redirect', jsonAnswer({}, 302)],
    ['no content', jsonAnswer({}, 204)],
  ])('refuses an answer with %s', async (_, response) => {
    expect(await outcomeOf(call(client(response), bob.name))).toMatchObject({
      name: 'CarrierError',
      code: 'refused',
    })
  })

  it('tells an error answer from no answer', async () => {
    const denied = jsonAnswer({ errcode: 'M_FORBIDDEN', error: 'no' }, 403)
    const error = await outcomeOf(call(client(denied), bob.name))
    expect(error).toBeInstanceOf(FederationError)
    expect(error).toMatchObject({ remote: { status: 403, errcode: 'M_FORBIDDEN', error: 'no' } })
    expect(await outcomeOf(call(client(undefined), bob.name))).toMatchObject({ code: 'unreachable' })
  })
})

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
    ['a body that is far too large', { ...answer, body: new Uint8Array(100_000) }],
  ])('refuses %s', async (_, response) => {
    expect(await outcomeOf(client(response).downloadMedia(bob.name, 'x', 3))).toMatchObject({
      code: 'refused',
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
