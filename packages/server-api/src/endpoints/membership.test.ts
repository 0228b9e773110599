/** Joining, leaving and knocking: only the user's own server can, and only with that very event. */
import type { JsonObject, UserId } from '@plexus/core'
import { without } from '@plexus/core'
import { join, member } from '@plexus/core/testing'
import { RoomError } from '@plexus/engine'
import { describe, expect, it } from 'vitest'
import { MAX_ROOM_VERSIONS } from '../bounds.ts'
import { pdusOf, type FakeMethods, type Raw } from '../testing/fixtures.ts'
import {
  ALICE,
  ask,
  bob,
  BOB,
  build,
  carol,
  CAROL,
  describeAcl,
  describeCases,
  enc,
  eventOf,
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
  type Made,
} from '../testing/endpoints.ts'

const joinOfCarol = build(join(CAROL))
const leaveOfAlice = build(member(ALICE, ALICE, 'leave'))
const knockOfCarol = build(member(CAROL, CAROL, 'knock'))

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
    name: 'send_leave of version 1',
    raw: putMembership('leave', leaveOfAlice, V1),
    methods: membershipMethods,
    asks: 'rooms.acceptMembership',
    answer: [200, {}],
    wrong: wrongMemberships('leave', leaveOfAlice, V1),
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

  it('may leave out the members, for who can do without them', async () => {
    const put = putMembership('join', joinOfCarol)
    const asked: unknown[] = []
    const omitting: FakeMethods = {
      rooms: {
        ...rooms,
        acceptMembership: async (_kind, _origin, _room, _id, event, options) => {
          asked.push(options?.omitMembers)
          return {
            ...accepted(event),
            ...(options?.omitMembers === true ? { serversInRoom: [bob.name], isUnconfirmed: true } : {}),
          }
        },
      },
    }
    const answerTo = async (query: string) => ask(omitting, { ...put, uri: `${put.uri}${query}` }, carol)
    expect((await answerTo('?omit_members=true')).body).toMatchObject({
      members_omitted: true,
      servers_in_room: [bob.name],
      'plexus.unconfirmed': true,
    })
    expect((await answerTo('?omit_members=false')).body).not.toHaveProperty('servers_in_room')
    expect(asked).toEqual([true, false])
    const wrong = await answerTo('?omit_members=yes')
    expect(wrong).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    expect(asked).toHaveLength(2)
  })

  it('answers as a pair by its first version', async () => {
    const { body } = await ask(methods, putMembership('join', joinOfCarol, V1), carol)
    expect(body).toEqual([200, { state: pdusOf(room, room.state()), auth_chain: [room.create.pdu] }])
  })

  it.each([V2, V1].flatMap((version) => wrongMemberships('join', joinOfCarol, version)))(
    'refuses %s',
    async (_, hostile, status, errcode) => {
      const asked = await ask(methods, hostile, carol)
      expect(asked).toMatchObject({ status, body: { errcode } })
      expect(asked.calls).not.toContain('rooms.acceptMembership')
    },
  )
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
