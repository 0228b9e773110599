/** Events and history: what a server in the room gets, and what others do not. */
import type { EventId, JsonObject } from '@plexus/core'
import { authEventIds, eventIdOf } from '@plexus/core'
import type { Rooms } from '@plexus/engine'
import { describe, expect, it } from 'vitest'
import {
  MAX_HISTORY_EVENTS,
  MAX_QUERIED_EVENTS,
  MAX_STATE_EVENTS,
  MAX_TAKEN,
  MAX_TOLD_HEADS,
  MAX_TOLD_ROOMS,
} from '../bounds.ts'
import { START, type FakeMethods } from '../testing/fixtures.ts'
import {
  anEvent,
  ask,
  bob,
  describeAcl,
  describeCases,
  describeMembersOnly,
  empties,
  enc,
  get,
  OTHER_EVENT,
  OTHER_ROOM,
  ROOM,
  room,
  rooms,
  V1,
  type Case,
} from '../testing/endpoints.ts'

const TOO_MANY_ROOMS: JsonObject = Object.fromEntries(
  Array.from({ length: MAX_TOLD_ROOMS + 1 }, (_, index) => [`!${index}`, []]),
)
const TOO_MANY_HEADS: JsonObject = {
  '!room': Array.from({ length: MAX_TOLD_HEADS + 1 }, () => `$${'e'.repeat(43)}`),
}

const TOO_MANY_TAKEN: JsonObject = {
  '!room': Array.from({ length: MAX_TAKEN + 1 }, () => `$${'e'.repeat(43)}`),
}

const CASES: readonly Case[] = [
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
        'heads that are no list',
        { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: [], 'plexus.heads': { '!room': 'x' } } },
        400,
        'M_BAD_JSON',
      ],
      [
        'heads of too many rooms',
        { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: [], 'plexus.heads': TOO_MANY_ROOMS } },
        400,
        'M_BAD_JSON',
      ],
      [
        'too many heads of a room',
        { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: [], 'plexus.heads': TOO_MANY_HEADS } },
        400,
        'M_BAD_JSON',
      ],
      [
        'too many taken events of a room',
        { method: 'PUT', uri: `${V1}/send/1`, content: { pdus: [], 'plexus.taken_events': TOO_MANY_TAKEN } },
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
    answer: { origin: bob.name, origin_server_ts: START, pdus: [room.create.pdu] },
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
    answer: { origin: bob.name, origin_server_ts: START, pdus: [room.create.pdu] },
    wrong: [
      ['an id that is none', get(`${V1}/event/x`), 400, 'M_INVALID_PARAM'],
      ['an unknown event', get(`${V1}/event/${enc(OTHER_EVENT)}`), 404, 'M_NOT_FOUND'],
    ],
  },
  ...(['state', 'state_ids'] as const).map((name): Case => {
    const ids = [room.create.id]
    const events = [room.create.pdu]
    const found = {
      state: events,
      stateIds: ids,
      authChain: events,
      authChainIds: ids,
      isUnconfirmed: true as const,
    }
    return {
      name,
      raw: get(`${V1}/${name}/${ROOM}?event_id=${enc(anEvent)}`),
      methods: { rooms: { ...rooms, stateFor: async () => found } },
      asks: 'rooms.stateFor',
      answer:
        name === 'state'
          ? { pdus: found.state, auth_chain: found.authChain }
          : { pdu_ids: [room.create.id], auth_chain_ids: [room.create.id], 'plexus.unconfirmed': true },
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
    answer: { auth_chain: [room.create.pdu] },
    wrong: [
      ['an id that is none', get(`${V1}/event_auth/${ROOM}/x`), 400, 'M_INVALID_PARAM'],
      ['an unknown event', get(`${V1}/event_auth/${ROOM}/${enc(OTHER_EVENT)}`), 404, 'M_NOT_FOUND'],
      ['an unknown room', get(`${V1}/event_auth/${enc(OTHER_ROOM)}/${enc(anEvent)}`), 404, 'M_NOT_FOUND'],
    ],
  },
]

const IN_ROOM = CASES.filter(({ name }) => name !== 'send')

describeCases(CASES)
describeMembersOnly(IN_ROOM)
describeAcl(IN_ROOM)

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

describe('event_auth', () => {
  it('answers with all ancestors by auth events, and the create event that the room id is', async () => {
    const last = room.all().at(-1)
    const { body } = await ask({ rooms }, get(`${V1}/event_auth/${ROOM}/${enc(last?.id ?? '')}`))
    const ids = (body as { auth_chain: Parameters<typeof eventIdOf>[1][] }).auth_chain.map((pdu) =>
      eventIdOf(room.version, pdu),
    )
    const expected = new Set([room.create.id, ...(last === undefined ? [] : authEventIds(last.pdu))])
    for (const id of expected) {
      const event = room.view.get(id)
      for (const next of event === undefined ? [] : authEventIds(event.pdu)) expected.add(next)
    }
    expect(expected.size).toBeGreaterThan(1)
    expect(new Set(ids)).toEqual(expected)
  })

  it('tells so many of a chain, the nearest', async () => {
    const known = await rooms.event?.(anEvent)
    const ids = Array.from({ length: MAX_STATE_EVENTS + 5 }, (_, index) => `$${index}`)
    const endless = (id: EventId, next: readonly string[] = []) => ({
      ...known,
      id,
      roomId: room.roomId,
      pdu: { auth_events: next },
    })
    const fake = {
      ...rooms,
      event: async (id: EventId) => endless(id, ids),
      events: async (asked: readonly EventId[]) => asked.map((id) => endless(id)),
    } as unknown as Partial<Rooms>
    const { status, body } = await ask({ rooms: fake }, get(`${V1}/event_auth/${ROOM}/${enc(anEvent)}`))
    expect(status).toBe(200)
    expect((body as { auth_chain: unknown[] }).auth_chain).toHaveLength(MAX_STATE_EVENTS)
  })
})
