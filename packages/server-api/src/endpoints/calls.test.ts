/** Every outbound call: what it asks, and which answers it takes. */
import type { EventId, JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import type { CarrierResponse, EnvelopedRequest, Federation } from '@plexus/engine/ports'
import { CarrierError, FederationError } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import {
  MAX_ALIAS_SERVERS,
  MAX_HISTORY_EVENTS,
  MAX_SERVERS_IN_ROOM,
  MAX_STATE_EVENTS,
  MAX_TOLD_HEADS,
  MAX_TOLD_ROOMS,
} from '../bounds.ts'
import { createFederation } from '../federation.ts'
import {
  answeringCarrier,
  INCARNATION,
  jsonAnswer,
  START,
  testClock,
  testSigner,
} from '../testing/fixtures.ts'

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
const manyRooms = (length: number): JsonObject =>
  Object.fromEntries(Array.from({ length }, (_, index) => [`!${index}`, [EVENT]]))
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
    name: 'sendTransaction with heads',
    call: (f, to) => f.sendTransaction(to, { txnId: '1', pdus: [], edus: [], heads: { [ROOM]: [EVENT] } }),
    method: 'PUT',
    uri: `${V1}/send/1`,
    content: {
      origin: alice.name,
      origin_server_ts: START,
      pdus: [],
      edus: [],
      'plexus.heads': { [ROOM]: [EVENT] },
    },
    answer: { pdus: {}, 'plexus.heads': { [ROOM]: [EVENT] } },
    result: { pdus: {}, heads: { [ROOM]: [EVENT] } },
    wrong: [
      { pdus: {}, 'plexus.heads': [] },
      { pdus: {}, 'plexus.heads': { nonsense: [EVENT] } },
      { pdus: {}, 'plexus.heads': { [ROOM]: ['nonsense'] } },
      { pdus: {}, 'plexus.heads': { [ROOM]: Array.from({ length: MAX_TOLD_HEADS + 1 }, () => EVENT) } },
      { pdus: {}, 'plexus.heads': manyRooms(MAX_TOLD_ROOMS + 1) },
    ],
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
    uri: `${V2}/send_join/${enc(ROOM)}/${enc(EVENT)}?omit_members=true`,
    content: PDU,
    answer: { state: [PDU], auth_chain: [], event: PDU, origin: 'x' },
    result: { state: [PDU], authChain: [], event: PDU },
    wrong: [
      { state: [PDU] },
      { state: [7], auth_chain: [] },
      { state: many(MAX_STATE_EVENTS + 1), auth_chain: [] },
      { state: [], auth_chain: [], event: 'x' },
      { state: [], auth_chain: [], members_omitted: true },
      { state: [], auth_chain: [], members_omitted: 'true', servers_in_room: [] },
      { state: [], auth_chain: [], members_omitted: true, servers_in_room: ['not a name'] },
      {
        state: [],
        auth_chain: [],
        members_omitted: true,
        servers_in_room: Array.from({ length: MAX_SERVERS_IN_ROOM + 1 }, () => bob.name),
      },
    ],
  },
  {
    name: 'sendJoin without the members',
    call: (f, to) => f.sendJoin(to, ROOM, EVENT, PDU),
    method: 'PUT',
    uri: `${V2}/send_join/${enc(ROOM)}/${enc(EVENT)}?omit_members=true`,
    content: PDU,
    answer: { state: [PDU], auth_chain: [], members_omitted: true, servers_in_room: [bob.name] },
    result: { state: [PDU], authChain: [], serversInRoom: [bob.name] },
    wrong: [],
  },
  {
    name: 'sendJoin to who has the state from one other',
    call: (f, to) => f.sendJoin(to, ROOM, EVENT, PDU),
    method: 'PUT',
    uri: `${V2}/send_join/${enc(ROOM)}/${enc(EVENT)}?omit_members=true`,
    content: PDU,
    answer: { state: [PDU], auth_chain: [], 'plexus.unconfirmed': true },
    result: { state: [PDU], authChain: [], isUnconfirmed: true },
    wrong: [{ state: [PDU], auth_chain: [], 'plexus.unconfirmed': 'yes' }],
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
    name: 'stateIds of who has the state from one other',
    call: (f, to) => f.stateIds(to, ROOM, EVENT),
    method: 'GET',
    uri: `${V1}/state_ids/${enc(ROOM)}?event_id=${enc(EVENT)}`,
    answer: { pdu_ids: [EVENT], auth_chain_ids: [], 'plexus.unconfirmed': true },
    result: { pduIds: [EVENT], authChainIds: [], isUnconfirmed: true },
    wrong: [{ pdu_ids: [EVENT], auth_chain_ids: [], 'plexus.unconfirmed': 1 }],
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
