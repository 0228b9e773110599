/** Invites: what is asked of the room, which alone co-signs, and what is refused before. */
import type { JsonObject } from '@plexus/core'
import { member } from '@plexus/core/testing'
import { signPdu, testRooms, type Raw } from '../testing/fixtures.ts'
import {
  ALICE,
  bob,
  BOB,
  build,
  carol,
  CAROL,
  describeAcl,
  describeCases,
  enc,
  eventOf,
  OTHER_EVENT,
  OTHER_ROOM,
  ROOM,
  room,
  rooms,
  V1,
  V2,
  type Case,
  type Made,
} from '../testing/endpoints.ts'

const inviteOfBob = build(member(ALICE, BOB, 'invite'))

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
const CASES: readonly Case[] = [
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
        putInvite(inviteOfBob, { ...inviteBody(inviteOfBob), room_version: '99' }),
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
