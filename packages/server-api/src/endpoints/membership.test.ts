/** Joining, leaving, knocking and inviting: only the user's own server can, and only with that very event. */
import type { EventId, JsonObject, UserId } from '@plexus/core'
import { without } from '@plexus/core'
import { join, member } from '@plexus/core/testing'
import { RoomError } from '@plexus/engine'
import { describe, expect, it } from 'vitest'
import { MAX_ROOM_VERSIONS } from '../bounds.ts'
import { pdusOf, signPdu, testRooms, type FakeMethods, type Raw } from '../testing/fixtures.ts'
import {
  ALICE,
  ask,
  bob,
  BOB,
  carol,
  CAROL,
  describeAcl,
  describeCases,
  enc,
  get,
  OTHER_EVENT,
  OTHER_ROOM,
  ROOM,
  room,
  rooms,
  V1,
  V2,
  withAcl,
  type Case,
} from '../testing/endpoints.ts'

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

const create = await signPdu(room, room.create.pdu, bob)
const others = testRooms(CAROL, []).room
const createOfOthers = await signPdu(others, others.create.pdu, carol)

const inviteBody = (made: Made, state: readonly JsonObject[] = [create]): JsonObject => ({
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
  ...(['join', 'leave', 'knock'] as const).map((kind): Case => {
    const uri = (roomId: string, user: string, query = '?ver=12'): string =>
      `${V1}/make_${kind}/${enc(roomId)}/${enc(user)}${query}`
    return {
      name: `make_${kind}`,
      raw: get(uri(room.roomId, ALICE)),
      methods: membershipMethods,
      asks: 'rooms.makeMembership',
      answer: { room_version: '12', event: { kind, origin: bob.name } },
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
      [
        'unsigned state',
        putInvite(inviteOfBob, inviteBody(inviteOfBob, [room.create.pdu])),
        400,
        'M_INVALID_PARAM',
      ],
      [
        'state that another server signed',
        putInvite(
          inviteOfBob,
          inviteBody(inviteOfBob, [{ ...create, signatures: createOfOthers.signatures }]),
        ),
        400,
        'M_INVALID_PARAM',
      ],
      ['no create event', putInvite(inviteOfBob, inviteBody(inviteOfBob, [])), 400, 'M_MISSING_PARAM'],
      [
        'the state of another room',
        putInvite(inviteOfBob, inviteBody(inviteOfBob, [create, createOfOthers])),
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
        putInvite(inviteOfBob, inviteBody(inviteOfBob, Array<JsonObject>(65).fill(create))),
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
]

describeCases(CASES)
describeAcl(CASES)

describe('send_join', () => {
  const methods = membershipMethods

  it('is closed to a server that the ACL denies, and open to others', async () => {
    const acl = withAcl(methods)
    expect((await ask(acl, putMembership('join', joinOfCarol), carol)).status).toBe(200)
    const denied = await ask(acl, putMembership('join', build(join(ALICE))))
    expect(denied).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(denied.calls).not.toContain('rooms.acceptMembership')
  })

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
