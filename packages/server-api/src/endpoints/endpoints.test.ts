/** Every endpoint: what an honest server gets from it, and what a hostile one does not. */
import type { EventId, JsonObject, RoomId, UserId } from '@plexus/core'
import { eventIdOf, without } from '@plexus/core'
import { join, member } from '@plexus/core/testing'
import { RoomError } from '@plexus/engine'
import { describe, expect, it } from 'vitest'
import { MAX_HISTORY_EVENTS, MAX_QUERIED_EVENTS, MAX_ROOM_VERSIONS } from '../bounds.ts'
import {
  fakeServer,
  pdusOf,
  signRaw,
  START,
  testClock,
  testRooms,
  testSigner,
  textOfAnswer,
  type FakeMethods,
  type Raw,
} from '../testing/fixtures.ts'

const alice = testSigner(1)
const bob = testSigner(2)
const carol = testSigner(3)
const own = bob.name
const ALICE = `@alice:${alice.name}` as UserId
const BOB = `@bob:${bob.name}` as UserId
const CAROL = `@carol:${carol.name}` as UserId

const { room, rooms } = testRooms(BOB, [ALICE])
const OTHER_ROOM = `!${'x'.repeat(43)}` as RoomId
const OTHER_EVENT = `$${'y'.repeat(43)}` as EventId
const anEvent = room.all()[1]?.id as EventId

const V1 = '/_matrix/federation/v1'
const V2 = '/_matrix/federation/v2'
const enc = encodeURIComponent
const empties = (length: number): JsonObject[] => Array.from({ length }, () => ({}))
const ROOM = enc(room.roomId)

type Made = { readonly id: EventId; readonly pdu: JsonObject }
const eventOf = (change: (pdu: JsonObject) => JsonObject, made: Made): Made => {
  const pdu = change(made.pdu)
  return { id: made.id, pdu }
}
/** An event of the room like `spec`, honestly hashed. */
const build = (spec: Parameters<typeof room.build>[0]): Made => room.build(spec)

const joinOfCarol = build(join(CAROL))
const leaveOfAlice = build(member(ALICE, ALICE, 'leave'))
const knockOfCarol = build(member(CAROL, CAROL, 'knock'))
const inviteOfBob = build(member(ALICE, BOB, 'invite'))

const accepted = (event: JsonObject) => ({
  event,
  state: pdusOf(room, room.state()),
  authChain: [room.create.pdu],
})

const putMembership = (kind: string, made: Made, version = V2): Raw => ({
  method: 'PUT',
  uri: `${version}/send_${kind}/${ROOM}/${enc(made.id)}`,
  content: made.pdu,
})

const inviteBody = (made: Made, state: readonly JsonObject[] = [room.create.pdu]): JsonObject => ({
  room_version: '12',
  event: made.pdu,
  invite_room_state: state,
})
const putInvite = (made: Made, content: JsonObject = inviteBody(made)): Raw => ({
  method: 'PUT',
  uri: `${V2}/invite/${ROOM}/${enc(made.id)}`,
  content,
})

const exchangeBody = {
  type: 'm.room.member',
  room_id: room.roomId,
  sender: BOB,
  state_key: ALICE,
  content: {
    membership: 'invite',
    third_party_invite: { display_name: 'A', signed: { mxid: ALICE, token: 't', signatures: { x: {} } } },
  },
}
const signedPart = exchangeBody.content.third_party_invite.signed

type Case = {
  readonly name: string
  readonly raw: Raw
  readonly methods: FakeMethods
  /** The call that does the work, the last one. */
  readonly asks: string
  readonly answer: unknown
  readonly repeatable?: true
  /** Requests that are refused before the work is asked for. */
  readonly wrong: readonly (readonly [label: string, raw: Raw, status: number, errcode: string])[]
}

const get = (uri: string): Raw => ({ method: 'GET', uri })

const membershipMethods: FakeMethods = {
  rooms: {
    ...rooms,
    acceptMembership: async (_kind, _origin, _room, _id, event) => accepted(event),
    makeMembership: async (kind) => ({ roomVersion: '12', event: { kind } }),
  },
}

/** What each of send_join, send_leave and send_knock refuses alike. */
const wrongMemberships = (kind: string, good: Made, version = V2): Case['wrong'] => {
  const put = (made: Made): Raw => putMembership(kind, made, version)
  const sender = good.pdu['sender'] as UserId
  const bad = (made: Made): Made => made
  return [
    [
      'the id of another event',
      { ...put(good), uri: `${version}/send_${kind}/${ROOM}/${enc(OTHER_EVENT)}` },
      400,
      'M_INVALID_PARAM',
    ],
    [
      'an id that is none',
      { ...put(good), uri: `${version}/send_${kind}/${ROOM}/x` },
      400,
      'M_INVALID_PARAM',
    ],
    [
      'an unknown room',
      { ...put(good), uri: `${version}/send_${kind}/${enc(OTHER_ROOM)}/${enc(good.id)}` },
      404,
      'M_NOT_FOUND',
    ],
    ['another membership', put(bad(build(member(sender, sender, 'ban')))), 400, 'M_INVALID_PARAM'],
    ['the user of another server', put(build(member(BOB, BOB, kind))), 400, 'M_INVALID_PARAM'],
    ['another user than the sender', put(build(member(sender, BOB, kind))), 400, 'M_INVALID_PARAM'],
    [
      'another type',
      put(build({ type: 'm.room.name', sender, stateKey: sender, content: { membership: kind } })),
      400,
      'M_INVALID_PARAM',
    ],
    ['no event', { ...put(good), content: [] }, 400, 'M_BAD_JSON'],
    ['no body', get(put(good).uri), 405, 'M_UNRECOGNIZED'],
    [
      'an event that is too large',
      put(build(member(sender, sender, kind, { a: 'x'.repeat(70_000) }))),
      400,
      'M_INVALID_PARAM',
    ],
    [
      'changed content',
      put(eventOf((pdu) => ({ ...pdu, origin_server_ts: 1 }), good)),
      400,
      'M_INVALID_PARAM',
    ],
    ['a field that is missing', put(eventOf((pdu) => without(pdu, 'depth'), good)), 400, 'M_INVALID_PARAM'],
  ]
}

const CASES: readonly Case[] = [
  {
    name: 'version',
    raw: get(`${V1}/version`),
    methods: {},
    asks: '',
    answer: { server: { name: 'Plexus', version: '1.0' } },
    repeatable: true,
    wrong: [['another method', { method: 'PUT', uri: `${V1}/version`, content: {} }, 405, 'M_UNRECOGNIZED']],
  },
  {
    name: 'send',
    raw: { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: [{ a: 1 }], edus: [{ edu_type: 'm.x' }] } },
    methods: { inbound: { transaction: async () => ({ pdus: { [anEvent]: {} } }) } },
    asks: 'inbound.transaction',
    answer: { pdus: { [anEvent]: {} } },
    repeatable: true,
    wrong: [
      ['no body', { method: 'PUT', uri: `${V1}/send/1` }, 400, 'M_BAD_JSON'],
      ['no events', { method: 'PUT', uri: `${V1}/send/1`, content: {} }, 400, 'M_BAD_JSON'],
      [
        'an event that is no object',
        { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: [7] } },
        400,
        'M_BAD_JSON',
      ],
      [
        '51 events',
        { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: empties(51) } },
        400,
        'M_BAD_JSON',
      ],
      [
        '101 EDUs',
        { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: [], edus: empties(101) } },
        400,
        'M_BAD_JSON',
      ],
      [
        'an acknowledgement below 0',
        { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: [], 'plexus.acknowledged': -1 } },
        400,
        'M_BAD_JSON',
      ],
      [
        'an id that is too long',
        { method: 'PUT', uri: `${V1}/send/${'1'.repeat(256)}`, content: { pdus: [] } },
        400,
        'M_INVALID_PARAM',
      ],
    ],
  },
  ...(['join', 'leave', 'knock'] as const).map((kind): Case => {
    const uri = (roomId: string, user: string, query = '?ver=12'): string =>
      `${V1}/make_${kind}/${enc(roomId)}/${enc(user)}${query}`
    return {
      name: `make_${kind}`,
      raw: get(uri(room.roomId, ALICE)),
      methods: membershipMethods,
      asks: 'rooms.makeMembership',
      answer: { room_version: '12', event: { kind } },
      wrong: [
        ['the user of another server', get(uri(room.roomId, BOB)), 403, 'M_FORBIDDEN'],
        ['a user id that is none', get(uri(room.roomId, 'alice')), 400, 'M_INVALID_PARAM'],
        ['a room id that is none', get(uri('room', ALICE)), 400, 'M_INVALID_PARAM'],
        ['an unknown room', get(uri(OTHER_ROOM, ALICE)), 404, 'M_NOT_FOUND'],
        [
          'too many versions',
          get(uri(room.roomId, ALICE, `?${'ver=1&'.repeat(MAX_ROOM_VERSIONS + 1)}`)),
          400,
          'M_INVALID_PARAM',
        ],
        ...(kind === 'leave'
          ? []
          : ([
              [
                'other versions',
                get(uri(room.roomId, ALICE, '?ver=1&ver=11')),
                400,
                'M_INCOMPATIBLE_ROOM_VERSION',
              ],
            ] as const)),
      ],
    }
  }),
  {
    name: 'send_leave',
    raw: putMembership('leave', leaveOfAlice),
    methods: membershipMethods,
    asks: 'rooms.acceptMembership',
    answer: {},
    wrong: wrongMemberships('leave', leaveOfAlice),
  },
  {
    name: 'invite',
    raw: putInvite(inviteOfBob),
    methods: {
      rooms: {
        ...rooms,
        acceptInvite: async (_o, _r, _i, { event }) => ({ event: { ...event, signed: true } }),
      },
    },
    asks: 'rooms.acceptInvite',
    answer: { event: { ...inviteOfBob.pdu, signed: true } },
    wrong: [
      [
        'the id of another event',
        { ...putInvite(inviteOfBob), uri: `${V2}/invite/${ROOM}/${enc(OTHER_EVENT)}` },
        400,
        'M_INVALID_PARAM',
      ],
      [
        'another room',
        { ...putInvite(inviteOfBob), uri: `${V2}/invite/${enc(OTHER_ROOM)}/${enc(inviteOfBob.id)}` },
        400,
        'M_INVALID_PARAM',
      ],
      [
        'a version that is not supported',
        putInvite(inviteOfBob, { ...inviteBody(inviteOfBob), room_version: '1' }),
        400,
        'M_INCOMPATIBLE_ROOM_VERSION',
      ],
      ['a user of another server', putInvite(build(member(ALICE, CAROL, 'invite'))), 400, 'M_INVALID_PARAM'],
      ['a sender of another server', putInvite(build(member(CAROL, BOB, 'invite'))), 400, 'M_INVALID_PARAM'],
      ['a sender of this server', putInvite(build(member(BOB, BOB, 'invite'))), 400, 'M_INVALID_PARAM'],
      ['a join', putInvite(build(member(ALICE, BOB, 'join'))), 400, 'M_INVALID_PARAM'],
      ['a ban', putInvite(build(member(ALICE, BOB, 'ban'))), 400, 'M_INVALID_PARAM'],
      [
        'power levels',
        putInvite(
          build({
            type: 'm.room.power_levels',
            sender: ALICE,
            stateKey: BOB,
            content: { membership: 'invite' },
          }),
        ),
        400,
        'M_INVALID_PARAM',
      ],
      [
        'an event that is no state',
        putInvite(build({ type: 'm.room.member', sender: ALICE, content: { membership: 'invite' } })),
        400,
        'M_INVALID_PARAM',
      ],
      [
        'JSON that is no event',
        putInvite(inviteOfBob, { ...inviteBody(inviteOfBob), event: { sign: 'this' } }),
        400,
        'M_INVALID_PARAM',
      ],
      [
        'changed content',
        putInvite(eventOf((pdu) => ({ ...pdu, origin_server_ts: 1 }), inviteOfBob)),
        400,
        'M_INVALID_PARAM',
      ],
      [
        'content that does not match its hash',
        putInvite(
          eventOf((pdu) => ({ ...pdu, content: { membership: 'invite', reason: 'x' } }), inviteOfBob),
        ),
        400,
        'M_INVALID_PARAM',
      ],
      ['no create event', putInvite(inviteOfBob, inviteBody(inviteOfBob, [])), 400, 'M_MISSING_PARAM'],
      [
        'the state of another room',
        putInvite(inviteOfBob, inviteBody(inviteOfBob, [testRooms(CAROL, []).room.create.pdu])),
        400,
        'M_INVALID_PARAM',
      ],
      [
        'stripped state',
        putInvite(
          inviteOfBob,
          inviteBody(inviteOfBob, [{ type: 'm.room.create', state_key: '', content: {} }]),
        ),
        400,
        'M_INVALID_PARAM',
      ],
      [
        'too much state',
        putInvite(inviteOfBob, inviteBody(inviteOfBob, Array<JsonObject>(65).fill(room.create.pdu))),
        400,
        'M_BAD_JSON',
      ],
    ],
  },
  {
    name: 'exchange_third_party_invite',
    raw: { method: 'PUT', uri: `${V1}/exchange_third_party_invite/${ROOM}`, content: exchangeBody },
    methods: { rooms: { ...rooms, exchangeThirdPartyInvite: async () => undefined } },
    asks: 'rooms.exchangeThirdPartyInvite',
    answer: {},
    wrong: [
      ...[
        ['another room in the path', OTHER_ROOM, exchangeBody, 400, 'M_INVALID_PARAM'] as const,
        [
          'a user of another server',
          room.roomId,
          { ...exchangeBody, state_key: CAROL },
          403,
          'M_FORBIDDEN',
        ] as const,
        ['another type', room.roomId, { ...exchangeBody, type: 'm.room.name' }, 400, 'M_BAD_JSON'] as const,
        [
          'a join',
          room.roomId,
          { ...exchangeBody, content: { ...exchangeBody.content, membership: 'join' } },
          400,
          'M_BAD_JSON',
        ] as const,
        [
          'no signed part',
          room.roomId,
          { ...exchangeBody, content: { membership: 'invite' } },
          400,
          'M_BAD_JSON',
        ] as const,
        [
          'too much in it',
          room.roomId,
          { ...exchangeBody, more: 'x'.repeat(70_000) },
          413,
          'M_TOO_LARGE',
        ] as const,
        [
          'another signed user',
          room.roomId,
          {
            ...exchangeBody,
            content: { membership: 'invite', third_party_invite: { signed: { ...signedPart, mxid: CAROL } } },
          },
          403,
          'M_FORBIDDEN',
        ] as const,
      ].map(([label, roomId, content, status, errcode]) => {
        const uri = `${V1}/exchange_third_party_invite/${enc(roomId)}`
        return [label, { method: 'PUT', uri, content }, status, errcode] as const
      }),
      [
        'an unknown room',
        {
          method: 'PUT',
          uri: `${V1}/exchange_third_party_invite/${enc(OTHER_ROOM)}`,
          content: { ...exchangeBody, room_id: OTHER_ROOM },
        },
        404,
        'M_NOT_FOUND',
      ],
    ],
  },
  {
    name: 'get_missing_events',
    raw: {
      method: 'POST',
      uri: `${V1}/get_missing_events/${ROOM}`,
      content: { earliest_events: [], latest_events: [anEvent], limit: 5 },
    },
    methods: { rooms: { ...rooms, missingEvents: async () => [room.create.pdu] } },
    asks: 'rooms.missingEvents',
    answer: { events: [room.create.pdu] },
    wrong: [
      ...[
        ['no lists', {}] as const,
        ['ids that are none', { earliest_events: ['x'], latest_events: [] }] as const,
        [
          'too many ids',
          { earliest_events: [], latest_events: Array<string>(MAX_QUERIED_EVENTS + 1).fill(anEvent) },
        ] as const,
        ['a limit below 0', { earliest_events: [], latest_events: [], limit: -1 }] as const,
        ['a limit that is a text', { earliest_events: [], latest_events: [], limit: '5' }] as const,
      ].map(([label, content]) => {
        const raw = { method: 'POST', uri: `${V1}/get_missing_events/${ROOM}`, content }
        return [label, raw, 400, 'M_BAD_JSON'] as const
      }),
      [
        'an unknown room',
        {
          method: 'POST',
          uri: `${V1}/get_missing_events/${enc(OTHER_ROOM)}`,
          content: { earliest_events: [], latest_events: [] },
        },
        404,
        'M_NOT_FOUND',
      ],
    ],
  },
  {
    name: 'backfill',
    raw: get(`${V1}/backfill/${ROOM}?v=${enc(anEvent)}&limit=5`),
    methods: { rooms: { ...rooms, backfillFor: async () => [room.create.pdu] } },
    asks: 'rooms.backfillFor',
    answer: { origin: own, origin_server_ts: START, pdus: [room.create.pdu] },
    wrong: [
      ['no limit', get(`${V1}/backfill/${ROOM}?v=${enc(anEvent)}`), 400, 'M_MISSING_PARAM'],
      [
        'a limit that is none',
        get(`${V1}/backfill/${ROOM}?v=${enc(anEvent)}&limit=1e9`),
        400,
        'M_INVALID_PARAM',
      ],
      ['no event', get(`${V1}/backfill/${ROOM}?limit=5`), 400, 'M_INVALID_PARAM'],
      ['an id that is none', get(`${V1}/backfill/${ROOM}?v=x&limit=5`), 400, 'M_INVALID_PARAM'],
      [
        'too many events',
        get(`${V1}/backfill/${ROOM}?limit=5${`&v=${enc(anEvent)}`.repeat(MAX_QUERIED_EVENTS + 1)}`),
        400,
        'M_INVALID_PARAM',
      ],
      [
        'an unknown room',
        get(`${V1}/backfill/${enc(OTHER_ROOM)}?v=${enc(anEvent)}&limit=5`),
        404,
        'M_NOT_FOUND',
      ],
    ],
  },
  {
    name: 'event',
    raw: get(`${V1}/event/${enc(anEvent)}`),
    methods: { rooms: { ...rooms, eventFor: async () => room.create.pdu } },
    asks: 'rooms.eventFor',
    answer: { origin: own, origin_server_ts: START, pdus: [room.create.pdu] },
    wrong: [
      ['an id that is none', get(`${V1}/event/x`), 400, 'M_INVALID_PARAM'],
      ['an unknown event', get(`${V1}/event/${enc(OTHER_EVENT)}`), 404, 'M_NOT_FOUND'],
    ],
  },
  ...(['state', 'state_ids'] as const).map((name): Case => {
    const found = { state: [room.create.pdu], authChain: [room.create.pdu] }
    return {
      name,
      raw: get(`${V1}/${name}/${ROOM}?event_id=${enc(anEvent)}`),
      methods: { rooms: { ...rooms, stateFor: async () => found } },
      asks: 'rooms.stateFor',
      answer:
        name === 'state'
          ? { pdus: found.state, auth_chain: found.authChain }
          : { pdu_ids: [room.create.id], auth_chain_ids: [room.create.id] },
      wrong: [
        ['no event', get(`${V1}/${name}/${ROOM}`), 400, 'M_MISSING_PARAM'],
        ['an id that is none', get(`${V1}/${name}/${ROOM}?event_id=x`), 400, 'M_INVALID_PARAM'],
        [
          'an id that is too long',
          get(`${V1}/${name}/${ROOM}?event_id=${'x'.repeat(5_000)}`),
          400,
          'M_INVALID_PARAM',
        ],
        [
          'an unknown room',
          get(`${V1}/${name}/${enc(OTHER_ROOM)}?event_id=${enc(anEvent)}`),
          404,
          'M_NOT_FOUND',
        ],
      ],
    }
  }),
  {
    name: 'event_auth',
    raw: get(`${V1}/event_auth/${ROOM}/${enc(anEvent)}`),
    methods: { rooms },
    asks: '',
    answer: { auth_chain: [] },
    wrong: [
      ['an id that is none', get(`${V1}/event_auth/${ROOM}/x`), 400, 'M_INVALID_PARAM'],
      ['an unknown event', get(`${V1}/event_auth/${ROOM}/${enc(OTHER_EVENT)}`), 404, 'M_NOT_FOUND'],
      ['an unknown room', get(`${V1}/event_auth/${enc(OTHER_ROOM)}/${enc(anEvent)}`), 404, 'M_NOT_FOUND'],
    ],
  },
  {
    name: 'query/profile',
    raw: get(`${V1}/query/profile?user_id=${enc(BOB)}&field=displayname`),
    methods: { queries: { profile: async () => ({ displayname: 'Bob' }) } },
    asks: 'queries.profile',
    answer: { displayname: 'Bob' },
    wrong: [
      ['no user', get(`${V1}/query/profile`), 400, 'M_MISSING_PARAM'],
      [
        'the user of another server',
        get(`${V1}/query/profile?user_id=${enc(ALICE)}`),
        400,
        'M_INVALID_PARAM',
      ],
      ['a user id that is none', get(`${V1}/query/profile?user_id=bob`), 400, 'M_INVALID_PARAM'],
      [
        'a field without a name',
        get(`${V1}/query/profile?user_id=${enc(BOB)}&field=`),
        400,
        'M_INVALID_PARAM',
      ],
    ],
  },
  {
    name: 'query/directory',
    raw: get(`${V1}/query/directory?room_alias=${enc(`#room:${own}`)}`),
    methods: {},
    asks: '',
    answer: { room_id: room.roomId, servers: [own] },
    wrong: [
      ['no alias', get(`${V1}/query/directory`), 400, 'M_MISSING_PARAM'],
      ['an alias that is none', get(`${V1}/query/directory?room_alias=room`), 400, 'M_INVALID_PARAM'],
      [
        'an unknown alias',
        get(`${V1}/query/directory?room_alias=${enc(`#other:${own}`)}`),
        404,
        'M_NOT_FOUND',
      ],
      [
        'the alias of another server',
        get(`${V1}/query/directory?room_alias=${enc(`#room:${alice.name}`)}`),
        404,
        'M_NOT_FOUND',
      ],
    ],
  },
  {
    name: 'user/devices',
    raw: get(`${V1}/user/devices/${enc(BOB)}`),
    methods: { queries: { devices: async () => ({ user_id: BOB, stream_id: 1, devices: [] }) } },
    asks: 'queries.devices',
    answer: { user_id: BOB, stream_id: 1, devices: [] },
    wrong: [
      ['the user of another server', get(`${V1}/user/devices/${enc(ALICE)}`), 400, 'M_INVALID_PARAM'],
      ['a user id that is none', get(`${V1}/user/devices/bob`), 400, 'M_INVALID_PARAM'],
    ],
  },
  {
    name: 'user/keys/query',
    raw: { method: 'POST', uri: `${V1}/user/keys/query`, content: { device_keys: { [BOB]: [] } } },
    methods: { queries: { queryKeys: async () => ({ device_keys: {} }) } },
    asks: 'queries.queryKeys',
    answer: { device_keys: {} },
    wrong: (
      [
        ['no map', {}, 'M_BAD_JSON'],
        ['a list for a map', { device_keys: [] }, 'M_BAD_JSON'],
        ['a text for a list', { device_keys: { [BOB]: 'D' } }, 'M_BAD_JSON'],
        ['a device id that is too long', { device_keys: { [BOB]: ['D'.repeat(256)] } }, 'M_BAD_JSON'],
        ['too many devices', { device_keys: { [BOB]: Array<string>(1_001).fill('D') } }, 'M_BAD_JSON'],
        [
          'too many users',
          { device_keys: Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`@${i}:${own}`, []])) },
          'M_BAD_JSON',
        ],
        ['the user of another server', { device_keys: { [BOB]: [], [ALICE]: [] } }, 'M_INVALID_PARAM'],
      ] as const
    ).map(
      ([label, content, errcode]) =>
        [label, { method: 'POST', uri: `${V1}/user/keys/query`, content }, 400, errcode] as const,
    ),
  },
  {
    name: 'user/keys/claim',
    raw: {
      method: 'POST',
      uri: `${V1}/user/keys/claim`,
      content: { one_time_keys: { [BOB]: { D: 'signed_curve25519' } } },
    },
    methods: { queries: { claimKeys: async () => ({ one_time_keys: {} }) } },
    asks: 'queries.claimKeys',
    answer: { one_time_keys: {} },
    repeatable: true,
    wrong: (
      [
        ['no map', {}, 'M_BAD_JSON'],
        ['a list for a map', { one_time_keys: { [BOB]: ['D'] } }, 'M_BAD_JSON'],
        ['a number for an algorithm', { one_time_keys: { [BOB]: { D: 1 } } }, 'M_BAD_JSON'],
        [
          'the user of another server',
          { one_time_keys: { [ALICE]: { D: 'signed_curve25519' } } },
          'M_INVALID_PARAM',
        ],
      ] as const
    ).map(
      ([label, content, errcode]) =>
        [label, { method: 'POST', uri: `${V1}/user/keys/claim`, content }, 400, errcode] as const,
    ),
  },
  {
    name: 'media/download',
    raw: get(`${V1}/media/download/abc`),
    methods: { queries: { media: async () => ({ bytes: Uint8Array.of(1, 2), contentType: 'image/png' }) } },
    asks: 'queries.media',
    answer: 'multipart',
    wrong: [
      ['an id with a slash', get(`${V1}/media/download/${enc('../x')}`), 400, 'M_INVALID_PARAM'],
      ['an id that is too long', get(`${V1}/media/download/${'x'.repeat(256)}`), 400, 'M_INVALID_PARAM'],
      ['no id', get(`${V1}/media/download/`), 400, 'M_INVALID_PARAM'],
    ],
  },
]

const aliases = {
  resolve: async (alias: string) =>
    alias === `#room:${own}` ? { roomId: room.roomId, servers: [own] } : undefined,
}

type Asked = { readonly status: number; readonly body: unknown; readonly calls: readonly string[] }

async function ask(methods: FakeMethods, raw: Raw, signer = alice, times = 1): Promise<Asked> {
  const { handle, calls, logged } = fakeServer(own, testClock(), methods, { aliases })
  const request = await signRaw(signer, raw, { destination: own })
  let response = await handle(request)
  for (let i = 1; i < times; i += 1) response = await handle(request)
  expect(logged).toEqual([])
  const body: unknown = response.contentType.startsWith('multipart/mixed')
    ? 'multipart'
    : JSON.parse(textOfAnswer(response))
  return { status: response.status, body, calls }
}

describe.each(CASES)('$name', ({ raw, methods, asks, answer, repeatable, wrong }) => {
  it('answers', async () => {
    const { status, body, calls } = await ask(methods, raw)
    expect(body).toEqual(answer)
    expect(status).toBe(200)
    if (asks !== '') expect(calls.at(-1)).toBe(asks)
  })

  it(repeatable === true ? 'answers a repeated request again' : 'refuses a repeated request', async () => {
    const { status } = await ask(methods, raw, alice, 2)
    expect(status).toBe(repeatable === true ? 200 : 401)
  })

  it.each(wrong)('refuses %s', async (_, hostile, status, errcode) => {
    const asked = await ask(methods, hostile)
    expect(asked).toMatchObject({ status, body: { errcode } })
    if (asks !== '') expect(asked.calls).not.toContain(asks)
  })
})

describe('send_join', () => {
  const methods = membershipMethods

  it('answers with the state before the join', async () => {
    const { body, calls } = await ask(methods, putMembership('join', joinOfCarol), carol)
    expect(calls.at(-1)).toBe('rooms.acceptMembership')
    expect(body).toEqual({
      event: joinOfCarol.pdu,
      state: pdusOf(room, room.state()),
      auth_chain: [room.create.pdu],
      members_omitted: false,
    })
  })

  it.each(wrongMemberships('join', joinOfCarol))('refuses %s', async (_, hostile, status, errcode) => {
    const asked = await ask(methods, hostile, carol)
    expect(asked).toMatchObject({ status, body: { errcode } })
    expect(asked.calls).not.toContain('rooms.acceptMembership')
  })
})

describe('send_knock', () => {
  it('answers with what shows the room, and no member', async () => {
    const { body } = await ask(membershipMethods, putMembership('knock', knockOfCarol, V1), carol)
    const { knock_room_state: state } = body as { knock_room_state: { type: string }[] }
    const shown = state.map((event) => event.type)
    expect(shown.toSorted()).toEqual(['m.room.create', 'm.room.join_rules'])
  })

  it.each(wrongMemberships('knock', knockOfCarol, V1))('refuses %s', async (_, hostile, status, errcode) => {
    const asked = await ask(membershipMethods, hostile, carol)
    expect(asked).toMatchObject({ status, body: { errcode } })
    expect(asked.calls).not.toContain('rooms.acceptMembership')
  })
})

const IN_ROOM = ['get_missing_events', 'backfill', 'event', 'state', 'state_ids', 'event_auth']

describe.each(CASES.filter(({ name }) => IN_ROOM.includes(name)))('$name', ({ raw, methods, asks }) => {
  it('tells nothing to a server without a member', async () => {
    const { status, body, calls } = await ask(methods, raw, carol)
    expect({ status, body }).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(calls).not.toContain(asks)
  })
})

/** spec: server-server-api.md "Server Access Control Lists (ACLs)" */
const PROTECTED = [
  ...IN_ROOM,
  'make_join',
  'make_leave',
  'make_knock',
  'send_leave',
  'invite',
  'exchange_third_party_invite',
]

describe('server ACLs', () => {
  const denied = testRooms(BOB, [ALICE])
  denied.room.add({
    type: 'm.room.server_acl',
    sender: BOB,
    stateKey: '',
    content: { allow: ['*'], deny: [alice.name] },
  })

  /** The same request about the other room, which is told apart by its id only. */
  const moved = (raw: Raw, methods: FakeMethods): FakeMethods => ({
    ...methods,
    rooms: {
      ...methods.rooms,
      snapshot: async () => denied.rooms.snapshot?.(denied.room.roomId),
      event: async (id) => (await rooms.event?.(id)) ?? denied.rooms.event?.(id),
    },
  })

  it.each(CASES.filter(({ name }) => PROTECTED.includes(name)))(
    'keep a denied server from $name',
    async (one) => {
      const { status, body, calls } = await ask(moved(one.raw, one.methods), one.raw)
      expect({ status, body }).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
      expect(calls).not.toContain(one.asks)
    },
  )

  it('keep a denied server from send_join, and let others in', async () => {
    const methods = moved(putMembership('join', joinOfCarol), membershipMethods)
    expect((await ask(methods, putMembership('join', joinOfCarol), carol)).status).toBe(200)
    const joinOfAlice = build(join(ALICE))
    expect((await ask(methods, putMembership('join', joinOfAlice))).status).toBe(403)
  })
})

describe('get_missing_events and backfill', () => {
  it('cut the limit down to the bound', async () => {
    const limits: number[] = []
    const methods: FakeMethods = {
      rooms: {
        ...rooms,
        missingEvents: async (_origin, _room, { limit }) => {
          limits.push(limit)
          return []
        },
        backfillFor: async (_origin, _room, _from, limit) => {
          limits.push(limit)
          return []
        },
      },
    }
    const content = { earliest_events: [], latest_events: [anEvent], limit: 1_000_000 }
    await ask(methods, { method: 'POST', uri: `${V1}/get_missing_events/${ROOM}`, content })
    await ask(methods, get(`${V1}/backfill/${ROOM}?v=${enc(anEvent)}&limit=999999999`))
    expect(limits).toEqual([MAX_HISTORY_EVENTS, MAX_HISTORY_EVENTS])
  })
})

describe('make_join', () => {
  it('names the room version when the room refuses the listed ones', async () => {
    const makeMembership = async (): Promise<never> => {
      throw new RoomError('M_INCOMPATIBLE_ROOM_VERSION', 'no')
    }
    const raw = get(`${V1}/make_join/${ROOM}/${enc(ALICE)}?ver=12`)
    const { status, body } = await ask({ rooms: { ...rooms, makeMembership } }, raw)
    expect(status).toBe(400)
    expect(body).toMatchObject({ errcode: 'M_INCOMPATIBLE_ROOM_VERSION', room_version: '12' })
  })
})

describe('event_auth', () => {
  it('answers with all ancestors by auth events', async () => {
    const last = room.all().at(-1)
    const { body } = await ask({ rooms }, get(`${V1}/event_auth/${ROOM}/${enc(last?.id ?? '')}`))
    const ids = (body as { auth_chain: Parameters<typeof eventIdOf>[1][] }).auth_chain.map((pdu) =>
      eventIdOf(room.version, pdu),
    )
    const expected = new Set(last?.pdu.auth_events ?? [])
    for (const id of expected) for (const next of room.view.get(id)?.pdu.auth_events ?? []) expected.add(next)
    expect(expected.size).toBeGreaterThan(0)
    expect(new Set(ids)).toEqual(expected)
  })
})
