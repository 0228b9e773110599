import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../json.ts'
import {
  ALICE,
  BOB,
  CAROL,
  DAVE,
  joined,
  room,
  send,
  set,
  verdict,
  type Case,
  type Event,
  type Setting,
} from '../testing/auth-cases.ts'

function check(name: string, cases: readonly Case[]): void {
  describe(name, () => {
    it.each(cases)('%s: %s', (expected, _about, setting, event) => {
      expect(verdict(setting, event)).toBe(expected)
    })
  })
}

const create = (content: JsonObject = {}, extra: JsonObject = {}): Event => ({
  ...set(ALICE, 'm.room.create', content),
  extra: { room_id: undefined, ...extra },
})

check('rule 1, m.room.create', [
  ['allowed', 'a plain one', {}, create()],
  ['1.1', 'with prev_events', {}, create({}, { prev_events: [room.create.id] })],
  ['1.2', 'with room_id', {}, create({}, { room_id: room.roomId })],
  ['allowed', 'of another version that exists', {}, create({ room_version: '9' })],
  ['1.3', 'of an unknown version', {}, create({ room_version: '99' })],
  ['1.3', 'of a version that is not a string', {}, create({ room_version: 12 })],
  ['allowed', 'with more creators', {}, create({ additional_creators: [BOB, '@:c'] })],
  ['1.4', 'creators not an array', {}, create({ additional_creators: BOB })],
  ['1.4', 'creators not strings', {}, create({ additional_creators: [1] })],
  ['1.4', 'creators not user ids', {}, create({ additional_creators: ['bob'] })],
])

check('rule 4, m.federate', [
  ['4', 'another server', { create: { 'm.federate': false }, members: joined }, send(BOB)],
  [
    'allowed',
    'the same server',
    { create: { 'm.federate': false }, members: { '@z:a': 'join' } },
    send('@z:a'),
  ],
  ['allowed', 'federation on', { create: { 'm.federate': true }, members: joined }, send(BOB)],
  ['allowed', 'not a boolean', { create: { 'm.federate': 'false' }, members: joined }, send(BOB)],
])

check('rules 6 to 9', [
  ['6', 'not joined', {}, send(BOB)],
  ['6', 'invited only', { members: { [BOB]: 'invite' } }, send(BOB)],
  ['allowed', 'joined', { members: joined }, send(BOB)],
  [
    '7.1',
    'third-party invite below the level',
    { members: joined, levels: { invite: 1 } },
    set(BOB, 'm.room.third_party_invite', {}, 't'),
  ],
  [
    'allowed',
    'third-party invite, though state needs 50',
    { members: joined },
    set(BOB, 'm.room.third_party_invite', {}, 't'),
  ],
  ['8', 'state without levels', { members: joined }, set(BOB, 'm.room.topic')],
  ['allowed', 'state of a creator without levels', {}, set(ALICE, 'm.room.topic')],
  [
    'allowed',
    'state of an additional creator',
    { members: joined, create: { additional_creators: [BOB] } },
    set(BOB, 'm.room.topic'),
  ],
  ['8', 'below events_default', { members: joined, levels: { events_default: 1 } }, send(BOB)],
  [
    'allowed',
    'at state_default',
    { members: joined, levels: { state_default: 0 } },
    set(BOB, 'm.room.topic'),
  ],
  [
    '8',
    'below the level of the type',
    { members: joined, levels: { events: { 'm.room.message': 1 } } },
    send(BOB),
  ],
  [
    'allowed',
    'at the level of the type',
    { members: joined, levels: { events: { 'm.room.topic': 0 } } },
    set(BOB, 'm.room.topic'),
  ],
  [
    'allowed',
    'a redaction needs no redact level',
    { members: joined },
    send(BOB, 'm.room.redaction', { redacts: room.create.id }),
  ],
  [
    'allowed',
    'a type that objects inherit',
    { members: joined, levels: { events: {} } },
    send(BOB, 'constructor'),
  ],
  [
    '9',
    "another user's id as state key",
    { members: joined, levels: { state_default: 0 } },
    set(BOB, 'x', {}, CAROL),
  ],
  [
    'allowed',
    'own id as state key',
    { members: joined, levels: { state_default: 0 } },
    set(BOB, 'x', {}, BOB),
  ],
  ['9', 'any state key with @', {}, set(ALICE, 'x', {}, '@')],
])

const bobAt50: Setting = {
  members: joined,
  levels: {
    users: { [BOB]: 50, [CAROL]: 40, [DAVE]: 50 },
    kick: 50,
    ban: 60,
    events: { high: 60, low: 40 },
    notifications: { room: 60 },
  },
}
const change = (content: JsonObject): Event =>
  set(BOB, 'm.room.power_levels', { ...bobAt50.levels, ...content })
const users = bobAt50.levels?.['users'] as JsonObject
const without = (map: JsonObject, key: string): JsonObject =>
  Object.fromEntries(Object.entries(map).filter(([name]) => name !== key))

check('rule 10, power levels', [
  ...['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'].flatMap<Case>(
    (key) => [
      ['10.1', `${key} as a string`, {}, set(ALICE, 'm.room.power_levels', { [key]: '1' })],
      ['allowed', `${key} as an integer`, {}, set(ALICE, 'm.room.power_levels', { [key]: 1 })],
    ],
  ),
  ['10.1', 'a fraction', {}, set(ALICE, 'm.room.power_levels', { ban: 1.5 })],
  ['10.1', 'null', {}, set(ALICE, 'm.room.power_levels', { ban: null })],
  ['10.2', 'events not an object', {}, set(ALICE, 'm.room.power_levels', { events: 1 })],
  ['10.2', 'events not of integers', {}, set(ALICE, 'm.room.power_levels', { events: { a: '1' } })],
  [
    '10.2',
    'notifications not of integers',
    {},
    set(ALICE, 'm.room.power_levels', { notifications: { room: null } }),
  ],
  ['10.3', 'users not an object', {}, set(ALICE, 'm.room.power_levels', { users: [] })],
  ['10.3', 'users not of integers', {}, set(ALICE, 'm.room.power_levels', { users: { [BOB]: '1' } })],
  [
    '10.3',
    'users with a key that is no user id',
    {},
    set(ALICE, 'm.room.power_levels', { users: { bob: 1 } }),
  ],
  ['10.4', 'users with the creator', {}, set(ALICE, 'm.room.power_levels', { users: { [ALICE]: 100 } })],
  [
    '10.4',
    'users with an additional creator',
    { create: { additional_creators: [BOB] } },
    set(ALICE, 'm.room.power_levels', { users: { [BOB]: 100 } }),
  ],
  ['allowed', '10.5 the first ones', {}, set(ALICE, 'm.room.power_levels', { users: { [BOB]: 1_000_000 } })],
  ['allowed', 'unchanged', bobAt50, change({})],
  ['10.6.1', 'lowers ban', bobAt50, change({ ban: 50 })],
  ['10.6.2', 'raises kick above himself', bobAt50, change({ kick: 51 })],
  ['allowed', 'lowers kick', bobAt50, change({ kick: 0 })],
  ['10.6.2', 'adds redact above himself', bobAt50, change({ redact: 51 })],
  ['allowed', 'adds redact', bobAt50, change({ redact: 50 })],
  ['10.6.1', 'removes ban', bobAt50, { ...change({}), content: without(bobAt50.levels ?? {}, 'ban') }],
  ['10.7.1', 'lowers a high event', bobAt50, change({ events: { high: 50, low: 40 } })],
  ['10.7.1', 'removes a high event', bobAt50, change({ events: { low: 40 } })],
  ['10.7.1', 'removes a high notification', bobAt50, change({ notifications: {} })],
  ['allowed', 'changes what is at his own level', bobAt50, change({ kick: 1 })],
  [
    'allowed',
    'removes an event at his own level',
    { ...bobAt50, levels: { ...bobAt50.levels, events: { own: 50 } } },
    change({ events: {} }),
  ],
  ['allowed', 'removes a low event', bobAt50, change({ events: { high: 60 } })],
  ['10.8.1', 'raises a low event above himself', bobAt50, change({ events: { high: 60, low: 51 } })],
  ['10.8.1', 'adds a high notification', bobAt50, change({ notifications: { room: 60, other: 51 } })],
  ['allowed', 'adds an event', bobAt50, change({ events: { high: 60, low: 40, other: 50 } })],
  ['10.9.1', 'lowers an equal', bobAt50, change({ users: { ...users, [DAVE]: 0 } })],
  ['10.9.1', 'removes an equal', bobAt50, change({ users: without(users, DAVE) })],
  ['allowed', 'removes a lower user', bobAt50, change({ users: without(users, CAROL) })],
  ['allowed', 'lowers himself', bobAt50, change({ users: { ...users, [BOB]: 0 } })],
  ['allowed', 'removes himself', bobAt50, change({ users: without(users, BOB) })],
  ['10.10.1', 'raises himself', bobAt50, change({ users: { ...users, [BOB]: 51 } })],
  ['10.10.1', 'adds a user above himself', bobAt50, change({ users: { ...users, '@eve:e': 51 } })],
  ['allowed', 'raises a lower user to his own level', bobAt50, change({ users: { ...users, [CAROL]: 50 } })],
  [
    'allowed',
    'a creator changes anything',
    bobAt50,
    set(ALICE, 'm.room.power_levels', { ban: 1000, users: { [BOB]: 0 } }),
  ],
])
