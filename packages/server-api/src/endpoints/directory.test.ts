/** Rooms seen from outside: public rooms, spaces, events at a time, forward extremities. */
import type { RoomId } from '@plexus/core'
import type { PublicRoomsQuery, RoomDescription } from '@plexus/engine'
import { MAX_PUBLIC_PAGE } from '@plexus/engine'
import { describe, expect, it } from 'vitest'
import { MAX_ALLOWED_ROOMS, MAX_ROOM_TYPES, MAX_SPACE_CHILDREN } from '../bounds.ts'
import { createFederation } from '../federation.ts'
import { answeringCarrier, INCARNATION, jsonAnswer, testClock } from '../testing/fixtures.ts'
import {
  ALICE,
  alice,
  anEvent,
  bob,
  ask,
  carol,
  describeAcl,
  describeCases,
  describeMembersOnly,
  enc,
  get,
  OTHER_ROOM,
  ROOM,
  room,
  rooms,
  V1,
  type Case,
} from '../testing/endpoints.ts'

const tea: RoomDescription = {
  roomId: room.roomId,
  name: 'Tea',
  joinRule: 'public',
  joinedMembers: 2,
  worldReadable: false,
  guestCanJoin: true,
  version: '12',
  allowedRooms: [],
}
const chunk = {
  room_id: room.roomId,
  name: 'Tea',
  join_rule: 'public',
  num_joined_members: 2,
  world_readable: false,
  guest_can_join: true,
}
const event = { sender: ALICE, content: { via: [alice.name] }, sentAt: 7 }
const space = { ...tea, roomType: 'm.space', children: [{ roomId: OTHER_ROOM, suggested: false, event }] }
const childState = {
  type: 'm.space.child',
  state_key: OTHER_ROOM,
  sender: ALICE,
  content: { via: [alice.name] },
  origin_server_ts: 7,
}
const search = (content: unknown) =>
  ({ method: 'POST', uri: `${V1}/publicRooms`, content: content as never }) as const

const OPEN: readonly Case[] = [
  {
    name: 'publicRooms',
    raw: get(`${V1}/publicRooms?limit=1&since=p1`),
    methods: { roomDirectory: { publicRooms: async () => ({ rooms: [tea], total: 5, next: 'p2' }) } },
    asks: 'roomDirectory.publicRooms',
    answer: { chunk: [chunk], total_room_count_estimate: 5, next_batch: 'p2' },
    wrong: [
      ['a limit that is none', get(`${V1}/publicRooms?limit=-1`), 400, 'M_INVALID_PARAM'],
      ['a flag that is none', get(`${V1}/publicRooms?include_all_networks=1`), 400, 'M_INVALID_PARAM'],
      [
        'one network and all',
        get(`${V1}/publicRooms?include_all_networks=true&third_party_instance_id=x`),
        400,
        'M_INVALID_PARAM',
      ],
    ],
  },
  {
    name: 'search of publicRooms',
    raw: search({ filter: { generic_search_term: 'tea', room_types: [null] } }),
    methods: { roomDirectory: { publicRooms: async () => ({ rooms: [] }) } },
    asks: 'roomDirectory.publicRooms',
    answer: { chunk: [] },
    wrong: [
      ['no body', { method: 'POST', uri: `${V1}/publicRooms` }, 400, 'M_BAD_JSON'],
      ['a limit of text', search({ limit: '1' }), 400, 'M_BAD_JSON'],
      [
        'too many room types',
        search({ filter: { room_types: Array.from({ length: MAX_ROOM_TYPES + 1 }, () => 'x') } }),
        400,
        'M_BAD_JSON',
      ],
    ],
  },
]

const hierarchy: Case = {
  name: 'hierarchy',
  raw: get(`${V1}/hierarchy/${ROOM}?suggested_only=true`),
  methods: {
    rooms,
    roomDirectory: {
      hierarchyFor: async () => ({ room: space, children: [tea], inaccessible: [OTHER_ROOM] }),
    },
  },
  asks: 'roomDirectory.hierarchyFor',
  answer: {
    room: { ...chunk, room_type: 'm.space', room_version: '12', children_state: [childState] },
    children: [{ ...chunk, room_version: '12' }],
    inaccessible_children: [OTHER_ROOM],
  },
  wrong: [
    ['a room id that is none', get(`${V1}/hierarchy/x`), 400, 'M_INVALID_PARAM'],
    ['a flag that is none', get(`${V1}/hierarchy/${ROOM}?suggested_only=x`), 400, 'M_INVALID_PARAM'],
  ],
}

const MEMBERS: readonly Case[] = [
  {
    name: 'timestamp_to_event',
    raw: get(`${V1}/timestamp_to_event/${ROOM}?ts=5&dir=f`),
    methods: { rooms: { ...rooms, eventAtTimeFor: async () => ({ id: anEvent, sentAt: 6 }) } },
    asks: 'rooms.eventAtTimeFor',
    answer: { event_id: anEvent, origin_server_ts: 6 },
    wrong: [
      ['no time', get(`${V1}/timestamp_to_event/${ROOM}?dir=f`), 400, 'M_MISSING_PARAM'],
      ['a time that is none', get(`${V1}/timestamp_to_event/${ROOM}?ts=x&dir=f`), 400, 'M_INVALID_PARAM'],
      ['no direction', get(`${V1}/timestamp_to_event/${ROOM}?ts=5&dir=x`), 400, 'M_INVALID_PARAM'],
      ['an unknown room', get(`${V1}/timestamp_to_event/${enc(OTHER_ROOM)}?ts=5&dir=f`), 404, 'M_NOT_FOUND'],
    ],
  },
]

describeCases([...OPEN, hierarchy, ...MEMBERS])
describeMembersOnly(MEMBERS)
describeAcl([hierarchy, ...MEMBERS])

describe('who asks for rooms', () => {
  it('gets as many as there may be where they name no limit', async () => {
    const queries: PublicRoomsQuery[] = []
    const methods = {
      roomDirectory: { publicRooms: async (query: PublicRoomsQuery) => (queries.push(query), { rooms: [] }) },
    }
    await ask(methods, get(`${V1}/publicRooms`))
    await ask(methods, search({}))
    expect(queries.map(({ limit }) => limit)).toEqual([MAX_PUBLIC_PAGE, MAX_PUBLIC_PAGE])
  })

  it('of a space that they may not see is told that there is none', async () => {
    const methods = { rooms, roomDirectory: { hierarchyFor: async () => undefined } }
    const { status, body } = await ask(methods, hierarchy.raw)
    expect({ status, body }).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
  })

  it('gets the forward extremities, under both names, from who has them', async () => {
    const heads = {
      ...rooms,
      snapshot: async (id: RoomId) => {
        const found = await rooms.snapshot?.(id)
        return found === undefined ? undefined : { ...found, heads: [anEvent] }
      },
    }
    for (const path of [V1, '/_matrix/federation/unstable/org.matrix.msc4370']) {
      const { body } = await ask({ rooms: heads }, get(`${path}/extremities/${ROOM}`))
      expect(body).toEqual({ prev_events: [anEvent] })
      const stranger = await ask({ rooms: heads }, get(`${path}/extremities/${ROOM}`), carol)
      expect(stranger.status).toBe(403)
    }
  })

  it('of what is no known query is told so', async () => {
    const { status, body } = await ask({}, get(`${V1}/query/weather?place=here`))
    expect({ status, body }).toMatchObject({ status: 404, body: { errcode: 'M_UNRECOGNIZED' } })
  })
})

describe('an answer about rooms', () => {
  const federationOf = (body: unknown) =>
    createFederation(
      { carrier: answeringCarrier(jsonAnswer(body)), signer: alice, clock: testClock() },
      { incarnation: INCARNATION },
    )
  const publicRooms = (body: unknown) => federationOf(body).publicRooms(bob.name, {})
  const asked = (body: unknown) => federationOf(body).hierarchy(bob.name, room.roomId)
  const told = { ...chunk, children_state: [] as unknown[] }

  it('comes as rooms, without what is not known', async () => {
    const page = await publicRooms({ chunk: [{ ...chunk, evil: 1 }], next_batch: 'x', more: 1 })
    const { version: _, allowedRooms: __, ...known } = tea
    expect(page).toEqual({ rooms: [known], next: 'x' })
  })

  it('comes as a space with its children', async () => {
    const body = {
      room: {
        ...told,
        room_type: 'm.space',
        room_version: '12',
        children_state: [childState, { type: 'x' }],
      },
      children: [chunk],
      inaccessible_children: [OTHER_ROOM],
    }
    const { version: _, ...unversioned } = tea
    expect(await asked(body)).toEqual({ room: space, children: [unversioned], inaccessible: [OTHER_ROOM] })
  })

  const many = (length: number, value: unknown) => Array.from({ length }, () => value)
  it.each([
    ['too many rooms', () => publicRooms({ chunk: many(MAX_PUBLIC_PAGE + 1, chunk) })],
    ['a room without an id', () => publicRooms({ chunk: [{ ...chunk, room_id: 7 }] })],
    [
      'too many children',
      () =>
        asked({
          room: { ...told, children_state: many(MAX_SPACE_CHILDREN + 1, {}) },
          children: [],
          inaccessible_children: [],
        }),
    ],
    [
      'too many allowed rooms',
      () =>
        asked({
          room: { ...told, allowed_room_ids: many(MAX_ALLOWED_ROOMS + 1, OTHER_ROOM) },
          children: [],
          inaccessible_children: [],
        }),
    ],
  ])('with %s is refused', async (_, answer) => {
    await expect(answer()).rejects.toMatchObject({ name: 'CarrierError', code: 'refused' })
  })
})
